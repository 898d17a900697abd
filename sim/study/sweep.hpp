#pragma once
/// \file
/// Many configurations at once, and which of them nothing else beats.

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "sim/predict/predict.hpp"
#include "sim/study/quality_table.hpp"

namespace apb::sim {

/// One point of a grid, as small as a million of them must be.
struct SweepPoint {
  bool runs = false;  ///< else the method cannot do this, or it does not fit
  Fit fit = Fit::kFits;
  float spread = 0;
  std::int32_t gpus = 0;
  double seconds = 0;  ///< to the first token
  double cost = 0;     ///< per million tokens, in the user's currency; 0 without a price
  float quality = -1;  ///< below 0: not known
};

/// What a point is made from.
using GridJob = std::function<Job(Index point)>;

struct SweepRequest {
  Index num_points = 0;
  GridJob job_of;
  double price_per_gpu_hour = 0;
  const QualityTable* quality = nullptr;
  /// Called from time to time with the number of points done.
  std::function<void(Index done)> progress;
};

/// All points, on all cores. A point that the method refuses does not run.
[[nodiscard]] std::vector<SweepPoint> sweep(
    const std::function<const MachineModel&(Index point)>& machine_of, const SweepRequest& request);

/// Points that no other one beats in time, GPUs, cost and, where it is known for both, quality.
/// Ascending time.
[[nodiscard]] std::vector<Index> pareto_front(const std::vector<SweepPoint>& points);

/// Dollars, or whatever the price is in, for a million tokens of prefill.
[[nodiscard]] double cost_per_million_tokens(Seconds time, Index gpus, Index tokens,
                                             double price_per_gpu_hour);

}  // namespace apb::sim
