// Predictions where the answer is known: limits, closed forms, what must not matter.

#include "sim/predict/predict.hpp"

#include <cmath>

#include "reference/core/error.hpp"
#include "sim/predict/longest_prompt.hpp"
#include "sim/study/search.hpp"
#include "sim/study/sweep.hpp"
#include "tests/sim/sim_samples.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb::sim {
namespace {

double prefill_s(const MachineProfile& machine, const Job& job) {
  return predict(MachineModel(machine), job).prefill.number;
}

bool close(double a, double b) {
  return std::abs(a - b) <= 1e-9 * std::abs(b);
}

TEST_CASE("links without end leave the compute of the slowest rank", "[sim]") {
  MachineProfile machine = round_machine();
  machine.link_bytes_per_s.number = 1e30;
  for (const SimMethodEntry& entry : kSimMethods) {
    CAPTURE(entry.name);
    const Prediction prediction =
        predict(MachineModel(machine), usual_job(entry.method, 65'536, 8));
    double slowest = 0;
    for (const RankTime& rank : prediction.ranks) {
      double own = 0;
      for (const Seconds part : rank.parts) own += part.number;
      slowest = std::max(slowest, own);
    }
    // A contiguous ring's ranks are slowest in different steps only by their skipped blocks.
    CHECK(close(prediction.prefill.number, slowest));
  }
}

TEST_CASE("what costs nothing changes nothing", "[sim]") {
  for (const SimMethodEntry& entry : kSimMethods) {
    const Job job = usual_job(entry.method, 65'536, 8);
    Job other = job;
    other.lengths.seed = 7;
    other.lengths.softmax_scale = 3;
    other.lengths.pool_kernel = 1;
    other.model.name = "another name";
    CAPTURE(entry.name);
    CHECK(prefill_s(round_machine(), other) == prefill_s(round_machine(), job));
    // Two prompts at once are two prompts where nothing is shared but the weights' traffic.
    Job two = job;
    two.batch = 2;
    const double both = prefill_s(round_machine(), two);
    CHECK(both <= 2 * prefill_s(round_machine(), job) * (1 + 1e-9));
    CHECK(both > 1.9 * prefill_s(round_machine(), job));
  }
}

TEST_CASE("a better machine is never slower", "[sim]") {
  RandomTensors random(411);
  const std::vector<SourcedValue MachineProfile::*> rates{
      &MachineProfile::peak_flop_per_s,      &MachineProfile::memory_bytes_per_s,
      &MachineProfile::link_bytes_per_s,     &MachineProfile::nic_bytes_per_s,
      &MachineProfile::streaming_efficiency, &MachineProfile::nics_per_node};
  for (int round = 0; round < 100; ++round) {
    const auto& entry = kSimMethods.at(static_cast<std::size_t>(random.below(kSimMethods.size())));
    const int ranks = 1 << random.below(5);
    Job job = usual_job(entry.method, 8192 + random.below(500'000), ranks);
    job.overlap = static_cast<double>(random.below(3)) / 2;
    if (entry.method == SimMethod::kUlysses && ranks > 8) continue;  // refused: 8 KV heads
    const double before = prefill_s(round_machine(), job);
    for (const auto rate : rates) {
      MachineProfile better = round_machine();
      (better.*rate).number *= 2;
      CAPTURE(entry.name, job.lengths.doc_len, ranks);
      CHECK(prefill_s(better, job) <= before * (1 + 1e-12));
    }
    Job hidden = job;
    hidden.overlap = 1;
    CHECK(prefill_s(round_machine(), hidden) <= before * (1 + 1e-12));
  }
}

TEST_CASE("a layer costs what a layer costs, however many there are", "[sim]") {
  for (const SimMethodEntry& entry : kSimMethods) {
    Job job = usual_job(entry.method, 65'536, 8);
    const ApbConfig config = config_of(job);
    const LayerPlan plan = plan_layer(job, config, {}, {0, config.doc_len});
    const MachineModel machine(round_machine());
    // Recorded, every layer is run; otherwise equal ones are multiplied.
    const Seconds all = TimedLayer(machine, job, plan).run(60, [](const Interval&) {});
    const Seconds quick = TimedLayer(machine, job, plan).run(60);
    CAPTURE(entry.name);
    CHECK(close(quick.number, all.number));
  }
}

TEST_CASE("a ring's steps that are alike, timed as one, take what they take one by one", "[sim]") {
  RandomTensors random(412);
  MachineProfile machine = round_machine();
  machine.collective_latency_s.number = 5e-6;
  machine.eager.gap_s.number = machine.eager.dispatch_s.number = 3e-6;
  const MachineModel model(machine);
  for (int round = 0; round < 400; ++round) {
    const SimMethod method = random.below(2) == 0 ? SimMethod::kRing : SimMethod::kZigzagRing;
    const int ranks = static_cast<int>(1 + random.below(33));
    const Index most_rows = Index{1} << (1 + random.below(13));  // of a chunk: a few, or thousands
    const bool divides = random.below(2) == 0;
    const Index doc_len =
        divides ? 2 * ranks * (1 + random.below(most_rows)) : random.below(2 * ranks * most_rows);
    Job job = usual_job(method, doc_len, ranks);
    job.overlap = static_cast<double>(random.below(5)) / 4;
    job.tensor_parallel = 1 + random.below(2);
    const ApbConfig config = config_of(job);
    const LayerPlan each = plan_layer(job, config, {}, {0, doc_len}, true);
    const LayerPlan merged = plan_layer(job, config, {}, {0, doc_len});
    CAPTURE(entry_of(method).name, ranks, doc_len, *job.overlap);
    const double wanted = TimedLayer(model, job, each).run(32).number;
    const double got = TimedLayer(model, job, merged).run(32).number;
    CHECK(std::abs(got - wanted) <= (divides ? 1e-9 : 0.003) * wanted);
    CHECK(work_of(merged) == work_of(each));
    if (doc_len >= 32 * ranks) CHECK(merged.steps.size() <= 6);
  }
}

TEST_CASE("intervals of a stream follow each other and fill a rank's time", "[sim]") {
  for (const SimMethodEntry& entry : kSimMethods) {
    for (const double overlap : {0.0, 0.5, 1.0}) {
      Job job = usual_job(entry.method, 65'536, 4);
      job.overlap = overlap;
      std::vector<double> busy_until(4, 0);
      double end = 0;
      trace_prefill(MachineModel(round_machine()), job, 3, [&](const Interval& interval) {
        CAPTURE(entry.name, overlap, interval.name, interval.rank);
        CHECK(interval.begin < interval.end);
        end = std::max(end, interval.end.number);
        if (interval.communication) return;
        double& until = busy_until[static_cast<std::size_t>(interval.rank)];
        CHECK(close(interval.begin.number + 1, until + 1));
        until = interval.end.number;
      });
      for (int rank = 0; rank < config_of(job).num_ranks; ++rank) {
        CHECK(busy_until[static_cast<std::size_t>(rank)] <= end);
      }
    }
  }
}

TEST_CASE("a naive pipeline adds hops, a chunked one hides its stages", "[sim]") {
  Job job = usual_job(SimMethod::kFull, 131'072, 1);
  const double one = prefill_s(round_machine(), job);
  job.pipeline_stages = 4;
  const double naive = prefill_s(round_machine(), job);
  const double hop = 131'072.0 * 4096 * 2 / 100e9;
  CHECK(close(naive, one + 3 * hop));
  job.pipeline_chunks = 32;
  const double chunked = prefill_s(round_machine(), job);
  CHECK(chunked < naive / 2);
  CHECK(chunked > one / 4);
}

TEST_CASE("the longest prompt fits, and a longer one does not", "[sim]") {
  const MachineProfile machine = round_machine();
  for (const SimMethodEntry& entry : kSimMethods) {
    const auto job_of = [&](Index doc_len) { return usual_job(entry.method, doc_len, 8); };
    const auto needs = [&](Index doc_len) {
      const Job job = job_of(doc_len);
      return static_cast<double>(memory_of(job, config_of(job), machine).total());
    };
    const Index longest = longest_prompt(machine, job_of);
    CAPTURE(entry.name, longest);
    CHECK(needs(longest) <= machine.memory_bytes.number);
    CHECK(needs(longest + longest / 500 + 4096) > machine.memory_bytes.number);
  }
}

TEST_CASE("where every prompt fits, the longest is the longest looked for", "[sim]") {
  MachineProfile machine = round_machine();
  machine.memory_bytes.number = 1e18;
  const auto job_of = [](Index doc_len) { return usual_job(SimMethod::kApb, doc_len, 8); };
  CHECK(longest_prompt(machine, job_of) == kLongestPrompt);
}

TEST_CASE("break-even: slower before, faster behind", "[sim]") {
  MachineProfile slow_links = round_machine();
  slow_links.collective_latency_s.number = 20e-3;  // 640 ms in all layers
  const MachineModel machine(slow_links);
  const auto time_of = [&](SimMethod method) -> TimeOfLength {
    return [&, method](Index doc_len) {
      return predict(machine, usual_job(method, doc_len, 8)).time_to_first_token();
    };
  };
  const TimeOfLength apb = time_of(SimMethod::kApb);
  const TimeOfLength full = time_of(SimMethod::kFull);
  const auto length = break_even_length(apb, full, 1 << 20);
  REQUIRE(length);
  const auto wins = [&](Index doc_len) { return apb(doc_len) < full(doc_len); };
  CHECK(wins(*length));
  CHECK_FALSE(wins(*length - *length / 50 - 2));
}

TEST_CASE("a balanced cut is never slower, and evens the ranks out", "[sim]") {
  const MachineModel machine(round_machine());
  for (const Index doc_len : {32'768, 131'072, 524'288}) {
    const Job equal = usual_job(SimMethod::kApb, doc_len, 8);
    const Job shifted = balanced(machine, equal);
    CAPTURE(doc_len);
    CHECK(predict(machine, shifted).prefill <= predict(machine, equal).prefill);
    CHECK(predict(machine, shifted).imbalance() < predict(machine, equal).imbalance());
    Index sum = 0;
    for (const Index block : shifted.lengths.resolved_block_lens()) sum += block;
    CHECK(sum == doc_len);
  }
}

TEST_CASE("the Pareto front is what nothing beats, by brute force", "[sim]") {
  RandomTensors random(412);
  for (int round = 0; round < 50; ++round) {
    std::vector<SweepPoint> points(static_cast<std::size_t>(random.below(60)));
    for (SweepPoint& point : points) {
      point.runs = random.below(5) > 0;
      point.seconds = static_cast<double>(random.below(20));
      point.gpus = static_cast<std::int32_t>(1 + random.below(4));
      point.cost = static_cast<double>(random.below(5));
      point.quality = static_cast<float>(random.below(4)) - 1;
    }
    const auto front = pareto_front(points, [](Index point) { return point % 2; });
    const auto as_good = [&](std::size_t a, std::size_t b) {
      const SweepPoint& x = points[a];
      const SweepPoint& y = points[b];
      return a % 2 == b % 2 && x.runs && x.seconds <= y.seconds && x.gpus <= y.gpus &&
             x.cost <= y.cost && (y.quality < 0 || x.quality >= y.quality);
    };
    for (std::size_t i = 0; i < points.size(); ++i) {
      const bool on_front =
          std::find(front.begin(), front.end(), static_cast<Index>(i)) != front.end();
      if (!points[i].runs) {
        CHECK_FALSE(on_front);
        continue;
      }
      bool beaten = false;
      for (std::size_t other = 0; other < points.size(); ++other) {
        beaten = beaten || (other != i && as_good(other, i) && !as_good(i, other));
      }
      if (beaten) CHECK_FALSE(on_front);
      if (!on_front && !beaten) {  // then an equal point stands for it
        CHECK(std::any_of(front.begin(), front.end(),
                          [&](Index f) { return as_good(static_cast<std::size_t>(f), i); }));
      }
    }
  }
}

TEST_CASE("what cannot be is refused", "[sim]") {
  const MachineModel machine(round_machine());
  const auto refused = [&](auto&& change) {
    Job job = usual_job(SimMethod::kApb, 65'536, 8);
    change(job);
    CHECK_THROWS_AS(predict(machine, job), BadInput);
  };
  refused([](Job& job) { job.lengths.doc_len = -1; });
  refused([](Job& job) { job.lengths.anchor_len = 10'000; });
  refused([](Job& job) { job.tensor_parallel = 3; });
  refused([](Job& job) { job.pipeline_stages = 33; });
  refused([](Job& job) { job.pipeline_chunks = 2; });
  refused([](Job& job) { job.overlap = 1.5; });
  refused([](Job& job) { job.attention_backend = "none such"; });
  refused([](Job& job) {
    job.method = SimMethod::kUlysses;
    job.lengths.num_ranks = 16;
  });
  refused([](Job& job) {
    job.method = SimMethod::kTensorParallel;
    job.lengths.num_ranks = 5;
  });
}

}  // namespace
}  // namespace apb::sim
