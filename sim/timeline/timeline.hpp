#pragma once
/// \file
/// When each rank does what: a layer's plan with durations, run through all layers. Every rank has
/// a compute stream and a communication stream; they wait for each other where the method's
/// exchanges make them. The cost of a prefill is when the last rank has finished, never the time of
/// rank 0 or a mean.

#include <functional>
#include <string_view>
#include <vector>

#include "sim/machine/machine_model.hpp"
#include "sim/work/job.hpp"
#include "sim/work/layer_plan.hpp"

namespace apb::sim {

/// What a rank did in one layer, or in several.
struct RankTime {
  std::array<Seconds, kNumParts> parts{};  ///< device time; kCommunication: exchanges not hidden
  Seconds host{};                          ///< waiting for launches, and gaps between kernels
  Seconds waiting{};                       ///< for other ranks

  /// All but waiting.
  [[nodiscard]] Seconds busy() const {
    Seconds sum = host;
    for (const Seconds part : parts) sum += part;
    return sum;
  }
};

/// Adds what the same rank did in other layers.
void add_rank_time(RankTime& to, const RankTime& more, double times = 1);

/// Time by what it rests on.
struct ProvenanceTime {
  std::array<Seconds, kProvenanceNames.size()> time{};

  void add(const Duration& duration, double times = 1) {
    Seconds& sum = time.at(static_cast<std::size_t>(duration.provenance));
    sum += times * duration.time;
  }
  [[nodiscard]] Seconds whole() const {
    Seconds sum{};
    for (const Seconds one : time) sum += one;
    return sum;
  }
  /// Share of one kind; 0 of nothing.
  [[nodiscard]] double share(std::size_t kind) const {
    const Seconds all = whole();
    return all.number > 0 ? time.at(kind) / all : 0;
  }
  void add(const ProvenanceTime& more) {
    for (std::size_t i = 0; i < time.size(); ++i) time.at(i) += more.time.at(i);
  }
};

/// What the time of each part rests on.
using PartProvenance = std::array<ProvenanceTime, kNumParts>;
[[nodiscard]] ProvenanceTime sum_of(const PartProvenance& parts);

/// An interval of a rank's stream, for traces. Times are seconds from the start.
struct Interval {
  int rank = 0;
  bool communication = false;  ///< of the communication stream, else of the compute stream
  bool waiting = false;
  std::string_view name;
  Seconds begin{};
  Seconds end{};
};

/// Where the GPUs of a job sit: tensor-parallel groups are innermost, pipeline stages outermost.
struct GpuPlacement {
  Placement ranks;  ///< of exchanges between ranks (one GPU of each)
  Placement group;  ///< of exchanges inside a rank
};
[[nodiscard]] GpuPlacement place_gpus(const MachineProfile& machine, const Job& job);

/// Durations of one layer.
class TimedLayer {
 public:
  TimedLayer(const MachineModel& machine, const Job& job, const LayerPlan& plan);

  /// Runs layers one after the other, from all ranks ready at 0.
  /// \param record gets every interval of every layer, if given; else equal layers are not repeated
  /// \returns when the last rank has finished
  Seconds run(Index num_layers, const std::function<void(const Interval&)>& record = nullptr);

  /// Per rank, of all layers run.
  [[nodiscard]] const std::vector<RankTime>& ranks() const { return totals_; }
  /// Per rank, of all layers run: when it was done.
  [[nodiscard]] const std::vector<Seconds>& finished() const { return clock_; }
  /// What the device time of one layer rests on, all ranks together.
  [[nodiscard]] const PartProvenance& provenance() const { return provenance_; }

 private:
  struct TimedStep {
    std::vector<RankTime> before;  ///< parts and host of what precedes the exchange
    std::vector<RankTime> during;
    std::vector<Seconds> exchange;  ///< per rank; empty: none
    Meeting meeting = Meeting::kAllRanks;
    CollectiveKind kind = CollectiveKind::kAllGather;
  };

  [[nodiscard]] ProvenanceTime& provenance_of(Part part) {
    return provenance_.at(static_cast<std::size_t>(part));
  }
  std::vector<RankTime> timed(const std::vector<Operation>& operations);
  void run_layer(const std::function<void(const Interval&)>* record);
  void run_compute(const std::vector<RankTime>& work,
                   const std::function<void(const Interval&)>* record);
  void run_exchange(const TimedStep& step, const std::function<void(const Interval&)>* record);

  const MachineModel& machine_;
  const Job& job_;
  std::size_t backend_;
  double overlap_;
  std::size_t num_ranks_;
  std::vector<TimedStep> steps_;
  std::vector<Seconds> clock_;
  std::vector<RankTime> totals_;
  PartProvenance provenance_;
};

}  // namespace apb::sim
