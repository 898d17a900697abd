#pragma once
/// \file
/// Configurations that a method can take.

#include <algorithm>

#include "reference/methods/method.hpp"

namespace apb {

/// The configuration, without what the method refuses: the zigzag methods cut the document
/// themselves, and Spava's anchor must fit what rank 0 caches.
[[nodiscard]] inline ApbConfig suited(Method method, ApbConfig config) {
  if (method == Method::kZigzagRing || method == Method::kSpava) config.block_lens.clear();
  if (method == Method::kSpava) {
    config.anchor_len =
        std::min(config.anchor_len, config.doc_len / (2 * Index{config.num_ranks} + 1));
  }
  return config;
}

}  // namespace apb
