#pragma once
/// \file
/// The work of one layer of prefill in closed form: what the code would count, without running it.
///
/// layer_work holds for every prefill of the form [anchor, passing, block], whatever the method;
/// the others have a form of their own (plans/). Tests compare all of them with the real counters.

#include <vector>

#include "reference/core/block_layout.hpp"
#include "reference/core/counters.hpp"

namespace apb {

/// Sizes of a transformer layer around the attention. Zeros leave its products out.
struct LayerSizes {
  Index hidden_size = 0;
  Index intermediate_size = 0;  ///< width of the SwiGLU feed-forward network
  Index retaining_size = 0;     ///< hidden width of the retaining head; 0: a linear head
};

/// (query row, key) pairs that a rank sees, the same for every query head:
/// anchor_rows causal rows, block_len causal rows, and each block row sees all of anchor and
/// passing.
[[nodiscard]] Index visible_pairs(const RankLayout& layout);

/// Counters of one layer on each rank.
/// \param config        as the method runs it
/// \param element_bytes size of an element that is sent, e.g. 2 for bfloat16
/// \throws BadInput as ApbConfig::validate, or if a count does not fit 62 bits
[[nodiscard]] std::vector<Counters> layer_work(const ApbConfig& config, Index element_bytes,
                                               const LayerSizes& sizes = {});

}  // namespace apb
