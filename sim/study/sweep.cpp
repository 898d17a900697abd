#include "sim/study/sweep.hpp"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <tuple>
#include <unordered_map>

#include "reference/core/error.hpp"
#include "reference/core/parallel_for.hpp"

namespace apb::sim {
namespace {

constexpr Index kPointsAtOnce = 1024;

SweepPoint point_of(const MachineModel& machine, const Job& job, const SweepRequest& request) {
  SweepPoint point;
  try {
    const Prediction prediction = predict_first_token(machine, job);
    point.runs = prediction.fit != Fit::kOutOfMemory;
    point.fit = prediction.fit;
    point.spread = static_cast<float>(prediction.spread);
    point.gpus = static_cast<std::int32_t>(prediction.num_gpus);
    point.seconds = prediction.time_to_first_token().number;
    point.cost =
        cost_per_million_tokens(prediction.time_to_first_token(), prediction.num_gpus,
                                job.lengths.doc_len * job.batch, request.price_per_gpu_hour);
    if (request.quality != nullptr) {
      if (const auto score = request.quality->score_of(job))
        point.quality = static_cast<float>(*score);
    }
  } catch (const BadInput&) {
    point.runs = false;
  }
  return point;
}

/// Whether `a` is at least as good in everything.
bool beats(const SweepPoint& a, const SweepPoint& b) {
  if (a.seconds > b.seconds || a.gpus > b.gpus || a.cost > b.cost) return false;
  return b.quality < 0 || a.quality >= b.quality;  // unknown beats nothing that is known
}

}  // namespace

double cost_per_million_tokens(Seconds time, Index gpus, Index tokens, double price_per_gpu_hour) {
  if (tokens == 0) return 0;
  constexpr double kSecondsPerHour = 3600;
  return price_per_gpu_hour * static_cast<double>(gpus) * time.number / kSecondsPerHour /
         static_cast<double>(tokens) * 1e6;
}

std::vector<SweepPoint> sweep(const std::function<const MachineModel&(Index point)>& machine_of,
                              const SweepRequest& request) {
  std::vector<SweepPoint> points(static_cast<std::size_t>(request.num_points));
  std::atomic<Index> done{0};
  std::mutex reporting;
  const Index blocks = (request.num_points + kPointsAtOnce - 1) / kPointsAtOnce;
  parallel_for(blocks, [&](Index block) {
    const Index end = std::min(request.num_points, (block + 1) * kPointsAtOnce);
    for (Index i = block * kPointsAtOnce; i < end; ++i) {
      points[static_cast<std::size_t>(i)] = point_of(machine_of(i), request.job_of(i), request);
    }
    const Index now = done += end - block * kPointsAtOnce;
    if (request.progress) {
      const std::scoped_lock lock(reporting);
      request.progress(now);
    }
  });
  return points;
}

std::vector<Index> pareto_front(const std::vector<SweepPoint>& points,
                                const std::function<Index(Index point)>& prompt_of) {
  std::vector<Index> order;
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (points[i].runs) order.push_back(static_cast<Index>(i));
  }
  const auto at = [&](Index i) -> const SweepPoint& { return points[static_cast<std::size_t>(i)]; };
  // Whatever is as good as a point in everything then stands before it, or is equal.
  std::sort(order.begin(), order.end(), [&](Index a, Index b) {
    const auto key = [&](Index i) {
      return std::tuple(at(i).seconds, at(i).gpus, at(i).cost, -at(i).quality, i);
    };
    return key(a) < key(b);
  });
  std::vector<Index> front;
  std::unordered_map<Index, std::vector<Index>> front_of;  // each prompt's: others do not compete
  for (const Index i : order) {
    std::vector<Index>& same = front_of[prompt_of(i)];
    // Of equal points the first stands for all.
    const bool beaten =
        std::any_of(same.begin(), same.end(), [&](Index other) { return beats(at(other), at(i)); });
    if (beaten) continue;
    same.push_back(i);
    front.push_back(i);
  }
  return front;
}

}  // namespace apb::sim
