#pragma once
/// \file
/// What a plan's operations and exchanges add up to, part by part. FLOPs and communicated bytes are
/// those that the reference counts while it runs (core/counters.hpp); tests hold them to it.

#include "reference/core/counters.hpp"
#include "sim/work/layer_plan.hpp"

namespace apb::sim {

/// Work of one GPU in one part of one layer.
struct PartWork {
  Index flop = 0;
  Index device_bytes = 0;  ///< device memory read and written
  Index bytes_received = 0;
  Index bytes_sent = 0;

  bool operator==(const PartWork&) const = default;
};

using LayerWork = std::array<PartWork, kNumParts>;

/// All parts together.
[[nodiscard]] PartWork sum_of(const LayerWork& work);

/// Per rank.
[[nodiscard]] std::vector<LayerWork> work_of(const LayerPlan& plan);

/// The same as the reference's counters have it, without rows.
[[nodiscard]] Counters counters_of(const LayerWork& work);

}  // namespace apb::sim
