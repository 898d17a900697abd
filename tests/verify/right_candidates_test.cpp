// Right kernels are never rejected: three types, tiles of 32 to 256, split KV, reversed sums, from
// one row to thousands, hundreds of seeds.

#include "tests/support/catch.hpp"
#include "tests/verify/verify_case.hpp"

namespace apb {
namespace {

/// The largest error of a judgement in units of its budget, and what it was.
struct Worst {
  double ratio = 0;
  std::string where;
};

void judge_right(const CaseFile& case_file, const Kernel& kernel, Worst& worst) {
  const Judgement judgement = judge(case_file, run_kernel(kernel, case_file), {});
  for (const Verdict& verdict : judgement.verdicts) {
    const double ratio = verdict.error == 0 ? 0 : verdict.error / verdict.budget;
    INFO(verdict.rank << " " << verdict.quantity << ": " << verdict.error << " of "
                      << verdict.budget);
    CHECK(verdict.pass);
    if (ratio > worst.ratio) worst = {ratio, verdict.quantity};
  }
}

CaseShape random_shape(RandomTensors& random) {
  static const std::vector<std::array<Index, 2>> kHeads{{8, 2}, {7, 1}, {3, 3}, {1, 1}, {9, 3}};
  const auto& heads = kHeads[static_cast<std::size_t>(random.below(5))];
  CaseShape shape;
  shape.num_ranks = 2;
  const Index rows = 1 + random.below(random.below(4) == 0 ? 300 : 40);
  shape.block_lens = {1 + random.below(rows), rows};
  shape.anchor_len = random.below(shape.block_lens[0] + 1);
  shape.query_rows = random.below(3);
  shape.num_kept = random.below(rows);
  shape.num_q_heads = heads[0];
  shape.num_kv_heads = heads[1];
  shape.head_dim = std::array<Index, 4>{16, 32, 64, 128}[static_cast<std::size_t>(random.below(4))];
  shape.spread = std::array<double, 4>{0.1, 1, 3, 8}[static_cast<std::size_t>(random.below(4))];
  return shape;
}

Kernel random_kernel(RandomTensors& random, ValueType type) {
  Kernel kernel;
  kernel.compute_type = type;
  kernel.out_type = random.below(3) == 0 ? ValueType::kFloat32 : type;
  kernel.tile = std::array<Index, 4>{32, 64, 128, 256}[static_cast<std::size_t>(random.below(4))];
  kernel.splits = static_cast<int>(1 + random.below(4));
  kernel.backwards = random.below(2) == 0;
  return kernel;
}

TEST_CASE("right kernels pass, 1 to 300 rows, hundreds of seeds", "[verify]") {
  constexpr int kSeeds = 200;
  Worst worst;
  int judged = 0;
  for (const ValueType type : {ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
    for (int seed = 0; seed < kSeeds; ++seed, ++judged) {
      RandomTensors random(static_cast<std::uint64_t>(seed) + 1000);
      const CaseShape shape = random_shape(random);
      CAPTURE(seed, to_string(type), shape.block_lens[0], shape.block_lens[1], shape.spread,
              shape.head_dim);
      judge_right(make_case(static_cast<std::uint64_t>(seed), shape, type),
                  random_kernel(random, type), worst);
    }
  }
  CHECK(judged == 3 * kSeeds);
  WARN(judged << " right candidates: worst error " << worst.ratio << " of its budget ("
              << worst.where << ")");
}

TEST_CASE("right kernels pass at thousands of rows", "[verify]") {
  Worst worst;
  for (const ValueType type : {ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
    RandomTensors random(7);
    const CaseShape shape{2, {600, 4096 - 600}, 100, 3, 200, 1, 1, 16};
    judge_right(make_case(8, shape, type), random_kernel(random, type), worst);
  }
  WARN("4,096 rows: worst error " << worst.ratio << " of its budget (" << worst.where << ")");
}

TEST_CASE("right kernels pass on merged decode", "[verify]") {
  for (const ValueType type : {ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
    for (std::uint64_t seed = 0; seed < 30; ++seed) {
      CaseFile case_file = make_case(seed, {3, {70, 41, 90}, 5, 0, 0, 4, 2, 16}, type);
      add_decode(case_file, seed, 1 + static_cast<Index>(seed % 5));
      const AttentionSetup all = decode_setup(*case_file.decode, {0, 1, 2}, case_file.config);
      auto merged = true_attention(all, count_up(case_file.decode->query.rows()), count_up(4));
      CandidateFile candidate{type, type, {}, DecodeCase{}};
      for (double& element : merged.out.values()) element = round_to(type, element);
      candidate.decode->out = merged.out;
      candidate.decode->lse = merged.lse;
      CHECK(judge(case_file, candidate, {}).pass());
    }
  }
}

}  // namespace
}  // namespace apb
