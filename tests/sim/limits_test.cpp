// Limits that hold of every configuration, tried on random ones and on every machine that comes
// with the project.

#include "sim/machine/profile_file.hpp"
#include "sim/predict/predict.hpp"
#include "sim/study/comparison.hpp"
#include "tests/sim/sim_samples.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb::sim {
namespace {

std::vector<MachineProfile> machines() {
  std::vector<MachineProfile> found{round_machine()};
  for (const std::string& name : known_machines()) found.push_back(find_machine(name));
  return found;
}

bool close(Seconds a, Seconds b) {
  return !less_beyond_rounding(a, b) && !less_beyond_rounding(b, a);
}

TEST_CASE("one rank of any method is Full", "[sim]") {
  RandomTensors random(431);
  for (const MachineProfile& profile : machines()) {
    const MachineModel machine(profile);
    for (int round = 0; round < 40; ++round) {
      for (const SimMethodEntry& entry : kSimMethods) {
        // MInference's attention is sparse on one GPU too: that is its point.
        if (entry.method == SimMethod::kMInference) continue;
        // Spava cuts the document in two blocks a rank and selects between them, on one rank too.
        if (entry.method == SimMethod::kSpava) continue;
        Job job = usual_job(entry.method, random.below(Index{1} << (1 + random.below(19))), 1);
        job.lengths.query_len = random.below(200);
        if (entry.method == SimMethod::kApb) {
          job.lengths.compressor = static_cast<Compressor>(random.below(5));
          if (job.lengths.compressor == Compressor::kNone) job.lengths.num_kept = 0;
          job.lengths.embedded_query_len = job.lengths.query_len;
          if (job.lengths.query_len == 0) job.lengths.compressor = Compressor::kRandom;
        }
        job.batch = 1 + random.below(3);
        job.captured = random.below(2) == 0;
        job.overlap = static_cast<double>(random.below(3)) / 2;
        Job full = job;
        full.method = SimMethod::kFull;
        CAPTURE(profile.name, entry.name, job.lengths.doc_len, job.lengths.query_len, job.batch);
        const Prediction got = predict(machine, job);
        const Prediction wanted = predict(machine, full);
        CHECK(close(got.prefill, wanted.prefill));
        CHECK(close(got.query_pass, wanted.query_pass));
        CHECK(close(got.decode_step, wanted.decode_step));
        CHECK(got.memory.total() == wanted.memory.total());
        CHECK(got.kept_cache_bytes == wanted.kept_cache_bytes);
      }
    }
  }
}

TEST_CASE("APB that keeps nothing, with an anchor as long as a block, is Star", "[sim]") {
  RandomTensors random(432);
  for (const MachineProfile& profile : machines()) {
    const MachineModel machine(profile);
    std::vector<std::string> backends{""};
    for (const AttentionTable& table : profile.attention) backends.push_back(table.backend);
    for (const std::string& backend : backends) {
      for (int round = 0; round < 20; ++round) {
        const int ranks = static_cast<int>(1 + random.below(8));
        const Index doc_len = 1 + random.below(Index{1} << (1 + random.below(19)));
        Job star = usual_job(SimMethod::kStar, doc_len, ranks);
        star.attention_backend = backend;
        Job apb = star;
        apb.method = SimMethod::kApb;
        apb.lengths.num_kept = 0;
        CAPTURE(profile.name, backend, doc_len, ranks);
        const Prediction wanted = predict(machine, star);
        apb.lengths.compressor = Compressor::kNone;
        CHECK(close(predict(machine, apb).time_to_first_token(), wanted.time_to_first_token()));
        CHECK(predict(machine, apb).memory.total() == wanted.memory.total());
      }
    }
  }
}

TEST_CASE("methods that take the same time are equally fast, none is fastest", "[sim]") {
  const MachineModel machine(round_machine());
  const Comparison one_rank = compare(
      machine,
      [](SimMethod method, Index doc_len, Index ranks) {
        return usual_job(method, doc_len, static_cast<int>(ranks));
      },
      300, 1);  // so few that selecting costs more than it saves
  for (const Contender& contender : one_rank.contenders) {
    const SimMethodEntry& entry = entry_of(contender.method);
    CAPTURE(entry.name);
    const bool other = entry.method == SimMethod::kMInference || entry.method == SimMethod::kSpava;
    CHECK((standing_of(one_rank, contender) == Standing::kEquallyFast) == !other);
  }
  CHECK(fastest(one_rank, false)->method == SimMethod::kFull);  // the first of the equal ones
  CHECK(answer(one_rank).find("is fastest") == std::string::npos);
  CHECK(answer(one_rank).find("are equally fast") != std::string::npos);
}

}  // namespace
}  // namespace apb::sim
