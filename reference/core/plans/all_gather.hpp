#pragma once
/// \file
/// All-gather context parallelism's plan. Cut and layout are the zigzag ring's (zigzag_config,
/// zigzag_layout).

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// Work of one layer (layer_work.hpp): the zigzag ring's, but a rank sends its own rows to every
/// other rank, where the ring's sends on what passes by.
[[nodiscard]] std::vector<Counters> all_gather_work(const ApbConfig& config, Index element_bytes,
                                                    const LayerSizes& sizes);

}  // namespace apb
