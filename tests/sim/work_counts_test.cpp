// What the simulator counts is what the reference counts while it runs, rank by rank.

#include "sim/work/work_counts.hpp"

#include "tests/methods/attention_system.hpp"
#include "tests/sim/sim_samples.hpp"
#include "tests/support/adapted_config.hpp"
#include "tests/support/catch.hpp"

namespace apb::sim {
namespace {

/// A model whose heads are the configuration's.
Job job_with_heads(SimMethod method, const ApbConfig& config) {
  Job job;
  job.model = llama_8b();
  job.model.num_q_heads = config.num_q_heads;
  job.model.num_kv_heads = config.num_kv_heads;
  job.model.head_dim = config.head_dim;
  job.method = method;
  job.lengths = config;
  return job;
}

/// Rows are the layout's business.
Counters without_rows(Counters counters) {
  counters.rows_computed = 0;
  counters.nan_scores = 0;
  return counters;
}

std::vector<LayerWork> planned(const Job& job, SegmentStyle style) {
  const ApbConfig config = config_of(job);
  return work_of(plan_layer(job, config, style, {0, config.doc_len}));
}

TEST_CASE("attention and bytes equal what the reference counts as it runs", "[sim]") {
  RandomTensors random(401);
  for (int round = 0; round < 60; ++round) {
    const ApbConfig given = random_config(random);
    const auto tokens = random_tokens<double>(given, random);
    for (const SimMethodEntry& entry : kSimMethods) {
      if (!entry.reference) continue;
      const ApbConfig fitting = adapted_to(*entry.reference, given);
      CAPTURE(entry.name, given.doc_len, given.num_ranks, given.block_lens, given.anchor_len,
              given.embedded_query_len, given.num_kept, to_string(given.compressor));
      const auto runs = run_layer(*entry.reference, fitting, tokens);
      for (const double overlap : {0.0, 1.0}) {
        for (const bool fused : {false, true}) {
          Job job = job_with_heads(entry.method, fitting);
          job.element_bytes = sizeof(double);
          job.overlap = overlap;
          const auto work = planned(job, {fused, false});
          for (std::size_t rank = 0; rank < work.size(); ++rank) {
            CAPTURE(rank, overlap, fused);
            Counters counted = counters_of(work[rank]);
            counted.projection_flop = 0;  // a layer's attention has none
            CHECK(counted == without_rows(runs[rank].counters));
          }
        }
      }
    }
  }
}

TEST_CASE("every method of the reference is simulated", "[sim]") {
  for (const MethodEntry& entry : kMethodList) {
    CAPTURE(entry.name);
    CHECK(std::any_of(kSimMethods.begin(), kSimMethods.end(), [&](const SimMethodEntry& simulated) {
      return simulated.reference == entry.method && simulated.name == entry.name &&
             simulated.exact == entry.exact;
    }));
  }
}

TEST_CASE("all products of a layer equal the reference's closed forms at real sizes", "[sim]") {
  RandomTensors random(402);
  for (int round = 0; round < 200; ++round) {
    for (const SimMethodEntry& entry : kSimMethods) {
      if (!entry.reference) continue;
      const int ranks = static_cast<int>(1 + random.below(9));
      Job job = usual_job(entry.method, random.below(300'000), ranks);
      if (!reference_entry(entry).cuts_alone && random.below(2) == 0) {
        job.lengths.block_lens = random.split(job.lengths.doc_len, ranks);
        job.lengths.anchor_len = std::min(job.lengths.anchor_len, job.lengths.block_lens.front());
      }
      CAPTURE(entry.name, job.lengths.doc_len, ranks, job.lengths.block_lens);
      const ApbConfig config = config_of(job);
      const LayerSizes sizes{job.model.hidden_size, job.model.intermediate_size,
                             job.model.retaining_size};
      const auto expected = method_work(*entry.reference, config, job.element_bytes, sizes);
      const auto work = planned(job, {});
      for (std::size_t rank = 0; rank < work.size(); ++rank) {
        CAPTURE(rank);
        CHECK(counters_of(work[rank]) == without_rows(expected[rank]));
      }
    }
  }
}

TEST_CASE("a pipeline's pieces add up to the whole prompt", "[sim]") {
  const Job job = usual_job(SimMethod::kFull, 10'000, 1);
  const ApbConfig config = config_of(job);
  const Counters whole = counters_of(planned(job, {}).front());
  Index attention = 0;
  Index projections = 0;
  for (const Chunk& chunk : equal_chunks(0, 10'000, 7)) {
    const Counters piece = counters_of(work_of(plan_layer(job, config, {}, chunk)).front());
    attention += piece.attention_flop;
    projections += piece.projection_flop;
  }
  CHECK(attention == whole.attention_flop);
  CHECK(projections == whole.projection_flop);
}

TEST_CASE("tensor parallelism shares all products and adds two all-reduces", "[sim]") {
  const Counters one = counters_of(planned(usual_job(SimMethod::kFull, 4096, 1), {}).front());
  const Counters share =
      counters_of(planned(usual_job(SimMethod::kTensorParallel, 4096, 8), {}).front());
  CHECK(8 * share.attention_flop == one.attention_flop);
  CHECK(8 * share.projection_flop == one.projection_flop);
  // Ring all-reduce: 2 (n - 1) / n of the buffer each way, twice a layer.
  CHECK(share.bytes_received == 2 * 2 * 4096 * 4096 * 2 * 7 / 8);
  CHECK(one.bytes_received == 0);
}

TEST_CASE("MInference sees what it keeps, and searches with the last rows", "[sim]") {
  const Counters work =
      counters_of(planned(usual_job(SimMethod::kMInference, 10'000, 1), {}).front());
  const Index kept = 3200 * 3201 / 2 + (10'000 - 3200) * 3200;
  const Index search = 64 * (10'000 - 64) + 64 * 65 / 2;
  CHECK(work.attention_flop == 4 * 128 * 32 * (kept + search));
}

}  // namespace
}  // namespace apb::sim
