#pragma once
/// \file
/// All-gather context parallelism's plan. Cut and layout are the zigzag ring's (zigzag_config,
/// zigzag_layout).

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// Work of one layer (work.hpp): the zigzag ring's, but every rank sends its rows to all others.
[[nodiscard]] std::vector<Counters> all_gather_work(const ApbConfig& config, Index element_bytes,
                                                    const LayerSizes& sizes);

}  // namespace apb
