#include "reference/verify/mistakes/mistake_list.hpp"

#include <array>

#include "reference/verify/mistakes/lost_keys.hpp"
#include "reference/verify/mistakes/lost_stretch.hpp"
#include "reference/verify/mistakes/passing_order.hpp"
#include "reference/verify/mistakes/wrong_mask.hpp"
#include "reference/verify/mistakes/wrong_merge.hpp"
#include "reference/verify/mistakes/wrong_numbers.hpp"

namespace apb {
namespace {

// Of two names for the same error the first is said first.
constexpr std::array kMistakes{
    Mistake{"anchor rows see the passing block", anchor_sees_passing},
    Mistake{"a rank's slice of the passing block is lost", rank_slice_missing},
    Mistake{"block rows miss keys of the passing block", passing_tail_missing},
    Mistake{"values of the passing block read as 0", passing_values_zero},
    Mistake{"block rows miss keys of the anchor", anchor_tail_missing},
    Mistake{"one tile of keys is lost", tile_missing},
    Mistake{"sliding window", sliding_window},
    Mistake{"causal mask aligned top-left", causal_top_left},
    Mistake{"causal mask off by one", causal_off_by_one},
    Mistake{"causal mask missing", causal_missing},
    Mistake{"GQA map wrong", wrong_head_map},
    Mistake{"KV heads swapped", swapped_heads},
    Mistake{"lse in base 2", lse_base_2},
    Mistake{"softmax scale", wrong_scale},
    Mistake{"passing blocks of the ranks in the wrong order", wrong_passing_order},
    Mistake{"tile border", border_tile, true},
    Mistake{"a rank is missing from the merge", rank_missing_in_merge},
    Mistake{"an empty part of the merge counts with lse 0", empty_part_weighs},
    Mistake{"merge without the shift by the largest lse", merge_without_shift},
    Mistake{"merge without weights", merge_without_weights},
    Mistake{"merge in low precision", merge_in_low_precision},
};

}  // namespace

std::span<const Mistake> known_mistakes() {
  return kMistakes;
}

}  // namespace apb
