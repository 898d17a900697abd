#pragma once
/// \file
/// Ulysses' plan: blocks in order; rank r attends with KV heads [r h_kv / H, (r + 1) h_kv / H).

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// Work of one layer (layer_work.hpp).
[[nodiscard]] std::vector<Counters> ulysses_work(const ApbConfig& config, Index element_bytes,
                                                 const LayerSizes& sizes);

}  // namespace apb
