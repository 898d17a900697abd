#pragma once
/// \file
/// Zigzag ring attention's plan: 2 H chunks, rank r holds an early one and a late one.

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// As exact_config; block_lens become what the zigzag cut gives each rank.
/// \throws BadInput if block lengths are given
[[nodiscard]] ApbConfig zigzag_config(const ApbConfig& given);

/// The document in 2 H chunks of equal_chunks; rank r holds chunks r and 2 H - 1 - r.
[[nodiscard]] BlockLayout zigzag_layout(const ApbConfig& config);

/// Work of one layer (layer_work.hpp).
[[nodiscard]] std::vector<Counters> zigzag_ring_work(const ApbConfig& config, Index element_bytes,
                                                     const LayerSizes& sizes);

}  // namespace apb
