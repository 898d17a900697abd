#include "sim/timeline/timeline.hpp"

#include <algorithm>
#include <cmath>

#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

Seconds& part_of(RankTime& time, Part part) {
  return time.parts[static_cast<std::size_t>(part)];
}

/// As long as it takes; not shorter than its memory traffic.
Duration operation_time(const MachineModel& machine, std::size_t backend,
                        const Operation& operation) {
  const MachineProfile& profile = machine.profile();
  const BytesPerSecond memory(profile.memory_bytes_per_s.number);
  const Flop flop(operation.flop());
  if (operation.kind == OperationKind::kStream) {
    const BytesPerSecond reached = profile.streaming_efficiency.number * memory;
    return {Bytes(operation.bytes) / reached, profile.streaming_efficiency.provenance};
  }
  Rate rate;
  if (operation.kind == OperationKind::kGemm) {
    rate = machine.gemm_rate(operation.m, operation.n, operation.k);
  } else if (operation.sparse) {
    rate = {FlopPerSecond(profile.sparse_efficiency.number * profile.peak_flop_per_s.number),
            profile.sparse_efficiency.provenance};
  } else {
    const double mean_keys =
        static_cast<double>(operation.pairs) / static_cast<double>(operation.rows);
    rate = machine.attention_rate(backend, operation.mask, mean_keys, operation.head_dim);
  }
  const Seconds computing = flop / rate.rate;
  const Seconds moving = Bytes(operation.bytes) / memory;
  if (computing >= moving) return {computing, rate.provenance};
  return {moving, profile.memory_bytes_per_s.provenance};
}

/// Ranks mostly do the same: what was looked up last is kept.
class KnownTimes {
 public:
  KnownTimes(const MachineModel& machine, std::size_t backend)
      : machine_(machine), backend_(backend) {}

  Duration of(const Operation& operation) {
    for (const auto& [known, duration] : known_) {
      if (same_work(known, operation)) return duration;
    }
    auto& entry = known_[next_++ % known_.size()];
    entry = {operation, operation_time(machine_, backend_, operation)};
    return entry.second;
  }

 private:
  static bool same_work(const Operation& a, const Operation& b) {
    return a.kind == b.kind && a.bytes == b.bytes && a.m == b.m && a.n == b.n && a.k == b.k &&
           a.rows == b.rows && a.pairs == b.pairs && a.heads == b.heads &&
           a.head_dim == b.head_dim && a.mask == b.mask && a.sparse == b.sparse;
  }

  const MachineModel& machine_;
  std::size_t backend_;
  std::array<std::pair<Operation, Duration>, 8> known_{};  ///< at first: no bytes, no time
  std::size_t next_ = 0;
};

}  // namespace

ProvenanceTime sum_of(const PartProvenance& parts) {
  ProvenanceTime sum;
  for (const ProvenanceTime& part : parts) sum.add(part);
  return sum;
}

void add_rank_time(RankTime& to, const RankTime& more, double times) {
  for (std::size_t part = 0; part < kNumParts; ++part) to.parts[part] += times * more.parts[part];
  to.host += times * more.host;
  to.waiting += times * more.waiting;
}

GpuPlacement place_gpus(const MachineProfile& machine, const Job& job) {
  const auto per_node = static_cast<Index>(machine.gpus_per_node.number);
  const Index group = heads_shared_by(job);
  const bool one_rank = entry_of(job.method).division != Division::kDocument;
  const Index ranks = one_rank ? 1 : Index{job.lengths.num_ranks};
  const Index groups_in_node = std::max<Index>(1, per_node / group);
  GpuPlacement placement;
  placement.group = {group, std::min(group, per_node), groups_in_node};
  placement.ranks = {ranks, std::min(ranks, groups_in_node), std::min(group, per_node)};
  if (machine.nics_per_node.number == 0 && num_gpus(job) > per_node) {
    throw BadInput(machine.name, "GPUs", num_gpus(job),
                   fmt::format("at most the {} of one node: it has no network", per_node));
  }
  return placement;
}

TimedLayer::TimedLayer(const MachineModel& machine, const Job& job, const LayerPlan& plan)
    : machine_(machine),
      job_(job),
      backend_(machine.backend(job.attention_backend)),
      overlap_(job.overlap.value_or(entry_of(job.method).overlap)),
      num_ranks_(static_cast<std::size_t>(plan.num_ranks)),
      clock_(num_ranks_),
      totals_(num_ranks_) {
  const GpuPlacement placement = place_gpus(machine.profile(), job);
  const LaunchCost& launch = job.captured ? machine.profile().captured : machine.profile().eager;
  for (const Step& step : plan.steps) {
    TimedStep& timed_step = steps_.emplace_back();
    timed_step.before = timed(step.before);
    timed_step.during = timed(step.during);
    if (!step.exchange) continue;
    const Exchange& exchange = *step.exchange;
    timed_step.meeting = exchange.meeting;
    timed_step.kind = exchange.kind;
    const Placement& where =
        exchange.meeting == Meeting::kOwnGroup ? placement.group : placement.ranks;
    Index known_size = -1;
    Duration known;
    for (const Index size : exchange.size) {
      if (size != known_size) {
        known = machine.collective_time(exchange.kind, where, Bytes(size));
        if (size > 0 && where.num_ranks > 1) known.time += Seconds(launch.collective_s.number);
        known_size = size;
      }
      timed_step.exchange.push_back(static_cast<double>(exchange.calls) * known.time);
      provenance_of(Part::kCommunication).add(known, static_cast<double>(exchange.calls));
    }
  }
}

std::vector<RankTime> TimedLayer::timed(const std::vector<Operation>& operations) {
  if (operations.empty()) return {};
  const LaunchCost& launch = job_.captured ? machine_.profile().captured : machine_.profile().eager;
  std::vector<RankTime> ranks(num_ranks_);
  std::vector<double> launches(num_ranks_, 0);
  KnownTimes known(machine_, backend_);
  for (const Operation& operation : operations) {
    const auto rank = static_cast<std::size_t>(operation.rank);
    const Duration duration = known.of(operation);
    const auto times = static_cast<double>(operation.times);
    part_of(ranks[rank], operation.part) += times * duration.time;
    launches[rank] += times * operation.launches;
    provenance_of(operation.part).add(duration, times);
  }
  for (std::size_t r = 0; r < num_ranks_; ++r) {
    // Kernels are launched while earlier ones run: the CPU is felt only where they are shorter.
    const Seconds device = ranks[r].busy();
    const Seconds gaps = launches[r] * Seconds(launch.gap_s.number);
    const Seconds dispatch = launches[r] * Seconds(launch.dispatch_s.number);
    ranks[r].host = std::max(gaps, dispatch - device);
  }
  return ranks;
}

void TimedLayer::run_compute(const std::vector<RankTime>& work,
                             const std::function<void(const Interval&)>* record) {
  for (std::size_t r = 0; r < work.size(); ++r) {
    if (record != nullptr) {
      Seconds at = clock_[r];
      const auto interval = [&](std::string_view name, Seconds length) {
        if (length.number <= 0) return;
        (*record)({static_cast<int>(r), false, false, name, at, at + length});
        at += length;
      };
      for (std::size_t part = 0; part < kNumParts; ++part) {
        interval(kPartNames.at(part), work[r].parts[part]);
      }
      interval("launches", work[r].host);
    }
    clock_[r] += work[r].busy();
    add_rank_time(totals_[r], work[r]);
  }
}

void TimedLayer::run_exchange(const TimedStep& step,
                              const std::function<void(const Interval&)>* record) {
  const std::vector<Seconds> arrived = clock_;
  const Seconds last = *std::max_element(arrived.begin(), arrived.end());
  const Seconds longest = *std::max_element(step.exchange.begin(), step.exchange.end());
  const auto draw = [&](std::size_t rank, bool communication, Seconds begin, Seconds end) {
    if (record == nullptr || !(begin < end)) return;
    const std::string_view name = communication ? to_string(step.kind) : "wait";
    (*record)({static_cast<int>(rank), communication, !communication, name, begin, end});
  };
  std::vector<Seconds> ready(num_ranks_);
  for (std::size_t r = 0; r < num_ranks_; ++r) {
    Seconds begin = arrived[r];
    Seconds length = step.exchange[r];
    if (step.meeting == Meeting::kAllRanks) {
      begin = last;
      length = longest;
    } else if (step.meeting == Meeting::kNeighbours) {
      begin = std::max(begin, arrived[(r + num_ranks_ - 1) % num_ranks_]);
    }
    const Seconds done = begin + length;
    const Seconds beside = step.during.empty() ? Seconds(0) : step.during[r].busy();
    // Hidden, the compute beside it starts at once; not hidden, when the exchange is done.
    const Seconds hidden = std::max(arrived[r] + beside, done);
    ready[r] = overlap_ * hidden + (1 - overlap_) * (done + beside);
    clock_[r] = overlap_ * arrived[r] + (1 - overlap_) * done;

    const Seconds exposed = std::max(Seconds(0), ready[r] - arrived[r] - beside);
    const Seconds waited = std::min(exposed, begin - arrived[r]);
    totals_[r].waiting += waited;
    part_of(totals_[r], Part::kCommunication) += exposed - waited;
    draw(r, true, begin, done);
    draw(r, false, arrived[r], clock_[r]);
  }
  run_compute(step.during, record);
  for (std::size_t r = 0; r < num_ranks_; ++r) {
    draw(r, false, clock_[r], ready[r]);
    clock_[r] = ready[r];
  }
}

void TimedLayer::run_layer(const std::function<void(const Interval&)>* record) {
  for (const TimedStep& step : steps_) {
    run_compute(step.before, record);
    if (!step.exchange.empty()) {
      run_exchange(step, record);
    } else {
      run_compute(step.during, record);
    }
  }
}

Seconds TimedLayer::run(Index num_layers, const std::function<void(const Interval&)>& record) {
  std::fill(clock_.begin(), clock_.end(), Seconds(0));
  std::fill(totals_.begin(), totals_.end(), RankTime{});
  std::vector<Seconds> before(num_ranks_);
  std::vector<Seconds> length(num_ranks_);
  for (Index layer = 0; layer < num_layers; ++layer) {
    const std::vector<RankTime> totals_before = totals_;
    before = clock_;
    run_layer(record ? &record : nullptr);
    bool steady = layer > 0 && !record;
    for (std::size_t r = 0; r < num_ranks_; ++r) {
      const Seconds now = clock_[r] - before[r];
      steady = steady && std::abs(now.number - length[r].number) <= 1e-12 * clock_[r].number;
      length[r] = now;
    }
    if (!steady) continue;
    // Layers are alike, and every rank has taken as long as for the one before: so will the rest.
    const auto rest = static_cast<double>(num_layers - layer - 1);
    for (std::size_t r = 0; r < num_ranks_; ++r) {
      clock_[r] += rest * length[r];
      RankTime once = totals_[r];
      add_rank_time(once, totals_before[r], -1);
      add_rank_time(totals_[r], once, rest);
    }
    break;
  }
  return *std::max_element(clock_.begin(), clock_.end());
}

}  // namespace apb::sim
