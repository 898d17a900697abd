#include "reference/verify/mistakes/mistake_list.hpp"

#include <array>

#include "reference/verify/mistakes/lost_keys.hpp"
#include "reference/verify/mistakes/passing_order.hpp"
#include "reference/verify/mistakes/wrong_mask.hpp"
#include "reference/verify/mistakes/wrong_numbers.hpp"

namespace apb {
namespace {

constexpr std::array kMistakes{
    Mistake{"anchor rows see the passing block", anchor_sees_passing},
    Mistake{"block rows miss keys of the passing block", passing_tail_missing},
    Mistake{"values of the passing block read as 0", passing_values_zero},
    Mistake{"block rows miss keys of the anchor", anchor_tail_missing},
    Mistake{"causal mask aligned top-left", causal_top_left},
    Mistake{"causal mask off by one", causal_off_by_one},
    Mistake{"causal mask missing", causal_missing},
    Mistake{"GQA map wrong", wrong_head_map},
    Mistake{"lse in base 2", lse_base_2},
    Mistake{"softmax scale", wrong_scale},
    Mistake{"passing blocks of the ranks in the wrong order", wrong_passing_order},
    Mistake{"tile border", border_tile},
};

}  // namespace

std::span<const Mistake> known_mistakes() {
  return kMistakes;
}

}  // namespace apb
