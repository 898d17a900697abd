#include "sim/study/sensitivity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "reference/cli/text_table.hpp"
#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/predict/number_text.hpp"

namespace apb::sim {
namespace {

using ChangeProfile = std::function<void(MachineProfile&, double factor)>;
using ChangeJob = std::function<void(Job&)>;

void scale(SourcedValue& value, double factor) {
  value.number *= factor;
}

void scale_gemm(MachineProfile& profile, double factor) {
  scale(profile.gemm_efficiency, factor);
  for (GemmTable& table : profile.gemm) {
    for (GemmPoint& point : table.points) point.rate = factor * point.rate;
  }
}

void scale_attention(MachineProfile& profile, double factor) {
  scale(profile.attention_efficiency, factor);
  scale(profile.sparse_efficiency, factor);
  for (AttentionTable& table : profile.attention) {
    for (AttentionPoint& point : table.points) point.rate = factor * point.rate;
  }
}

void scale_collectives(MachineProfile& profile, double factor) {
  scale(profile.link_bytes_per_s, factor);
  scale(profile.collective_latency_s, 1 / factor);
  for (CollectiveTable& table : profile.collectives) {
    for (CollectivePoint& point : table.points) point.time = (1 / factor) * point.time;
  }
}

void scale_launches(MachineProfile& profile, double factor) {
  for (LaunchCost* cost : {&profile.eager, &profile.captured}) {
    scale(cost->dispatch_s, factor);
    scale(cost->gap_s, factor);
    scale(cost->collective_s, factor);
  }
}

/// Predictions with one thing changed.
class Study {
 public:
  Study(const MachineModel& machine, const Job& job) : machine_(machine), job_(job) {
    result_.base = predict(machine, job).time_to_first_token();
  }

  void machine(const std::string& input, double low, double high, const std::string& low_text,
               const std::string& high_text, const ChangeProfile& change) {
    const auto with = [&](double factor) {
      MachineProfile profile = machine_.profile();
      change(profile, factor);
      return predict(MachineModel(std::move(profile)), job_).time_to_first_token();
    };
    result_.swings.push_back({input, low_text, high_text, with(low), with(high)});
  }
  void spread(const std::string& input, const SourcedValue& deviation,
              const ChangeProfile& change) {
    const double factor = std::exp(kDeviationsToTenth * deviation.number);
    machine(input, 1 / factor, factor, error_text(1 / factor - 1), error_text(factor - 1), change);
  }
  /// Left out where the method cannot.
  void choice(const std::string& input, const std::string& low_text, const ChangeJob& low,
              const std::string& high_text, const ChangeJob& high) {
    const auto with = [&](const ChangeJob& change) {
      Job job = job_;
      change(job);
      return predict(machine_, job).time_to_first_token();
    };
    try {
      result_.swings.push_back({input, low_text, high_text, with(low), with(high)});
    } catch (const BadInput&) {
      return;
    }
  }
  [[nodiscard]] Sensitivity finish() {
    std::stable_sort(result_.swings.begin(), result_.swings.end(),
                     [](const Swing& a, const Swing& b) { return a.width() > b.width(); });
    return std::move(result_);
  }

 private:
  const MachineModel& machine_;
  const Job& job_;
  Sensitivity result_;
};

}  // namespace

Sensitivity sensitivity(const MachineModel& machine, const Job& job) {
  Study study(machine, job);
  const MachineProfile& profile = machine.profile();
  study.spread("GEMM rate", profile.spread.gemm, scale_gemm);
  study.spread("attention rate", profile.spread.attention, scale_attention);
  study.spread("memory-bound kernels", profile.spread.streaming,
               [](MachineProfile& p, double f) { scale(p.streaming_efficiency, f); });
  study.spread("kernel launches", profile.spread.host, scale_launches);
  study.machine("links inside a node", 0.5, 2, "half", "twice", scale_collectives);
  if (static_cast<double>(num_gpus(job)) > profile.gpus_per_node.number) {
    study.machine("network cards", 0.5, 2, "half", "twice",
                  [](MachineProfile& p, double f) { scale(p.nic_bytes_per_s, f); });
  }
  if (entry_of(job.method).overlaps) {
    study.choice(
        "overlap of exchanges", "none", [](Job& j) { j.overlap = 0; }, "all",
        [](Job& j) { j.overlap = 1; });
  }
  const ApbConfig& lengths = job.lengths;
  const auto halved_doubled = [&](const std::string& input, Index now, auto&& set) {
    if (now == 0) return;
    study.choice(
        input, with_separators(now / 2), [&](Job& j) { set(j, now / 2); }, with_separators(2 * now),
        [&](Job& j) { set(j, 2 * now); });
  };
  if (entry_of(job.method).anchored) {
    halved_doubled("anchor length", lengths.anchor_len,
                   [](Job& j, Index n) { j.lengths.anchor_len = n; });
  }
  if (entry_of(job.method).passes) {
    halved_doubled("kept entries", lengths.num_kept,
                   [](Job& j, Index n) { j.lengths.num_kept = n; });
  }
  if (entry_of(job.method).division != Division::kOneRank && lengths.num_ranks > 1 &&
      lengths.block_lens.empty()) {
    halved_doubled("ranks", lengths.num_ranks,
                   [](Job& j, Index n) { j.lengths.num_ranks = static_cast<int>(n); });
  }
  return study.finish();
}

}  // namespace apb::sim
