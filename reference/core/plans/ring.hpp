#pragma once
/// \file
/// Ring attention's plan: blocks in order; every rank's keys and values go around, H - 1 steps.

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// Work of one layer (layer_work.hpp).
[[nodiscard]] std::vector<Counters> ring_work(const ApbConfig& config, Index element_bytes,
                                              const LayerSizes& sizes);

/// Adds what goes around a ring: every rank receives all others' rows, and sends on all that it
/// holds but the last, those of the rank behind it.
void add_ring_bytes(const ApbConfig& config, Index element_bytes, std::vector<Counters>& work);

}  // namespace apb
