#pragma once
/// \file
/// Configurations that a method can take.

#include <algorithm>

#include "reference/core/plans/method_list.hpp"

namespace apb {

/// The configuration, without what the method refuses: one that cuts the document itself takes no
/// block lengths, and its anchor must fit what rank 0 caches, a chunk of 2 H + 1 in the worst case.
[[nodiscard]] inline ApbConfig adapted_to(Method method, ApbConfig config) {
  if (!entry_of(method).cuts_alone) return config;
  config.block_lens.clear();
  config.anchor_len =
      std::min(config.anchor_len, config.doc_len / (2 * Index{config.num_ranks} + 1));
  return config;
}

}  // namespace apb
