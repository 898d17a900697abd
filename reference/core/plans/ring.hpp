#pragma once
/// \file
/// Ring attention's plan: blocks in order; every rank's keys and values go around, H - 1 steps.

#include "reference/core/work.hpp"

namespace apb {

/// Work of one layer (work.hpp).
[[nodiscard]] std::vector<Counters> ring_work(const ApbConfig& config, Index element_bytes,
                                              const LayerSizes& sizes);

}  // namespace apb
