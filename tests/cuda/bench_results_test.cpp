// What needs no GPU of apb bench: what follows from its times, and that its record can be read.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cuda/benchmarks/balanced_blocks.hpp"
#include "cuda/tools/bench/bench_report.hpp"
#include "reference/cli/whole_file.hpp"
#include "sim/calibrate/measurements.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb::cuda {
namespace {

LayerRun run_of(double attention_s, double ffn_s) {
  LayerRun run;
  run.part_s[static_cast<std::size_t>(LayerPart::kAttention)] = attention_s;
  run.part_s[static_cast<std::size_t>(LayerPart::kFeedForward)] = ffn_s;
  run.total_s = attention_s + ffn_s;
  return run;
}

MethodTime method_of(std::string name, std::vector<RankTime> ranks) {
  MethodTime method{.name = std::move(name), .config = {}, .ranks = std::move(ranks)};
  method.config.num_ranks = 2;
  return method;
}

LengthTimes two_ranks() {
  LengthTimes times{
      .model = "m", .doc_len = 1024, .methods = {}, .full_attention = {true, 1024, 1024, 8, 2, 64}};
  times.methods.push_back(method_of("full", {{0, 0, 0, 1024, run_of(8, 2), 9, 11, 3, 0}}));
  times.methods.push_back(method_of("apb", {{0, 0, 0, 512, run_of(1, 1), 2, 2, 3, 0.5},
                                            {1, 1, 128, 512, run_of(3, 1), 4, 4, 3, 0.5}}));
  return times;
}

}  // namespace

TEST_CASE("bench: a method takes what its slowest rank takes, exchange included") {
  LengthTimes times = two_ranks();
  CHECK(times.method("apb")->layer_s() == 4.5);
  CHECK(times.method("star") == nullptr);
  CHECK_FALSE(times.full_by_peer_s());
  times.peer_s = 4;  // twice our rate
  CHECK(times.full_by_peer_s() == 6.0);
  CHECK(times.apb_at_peer_rate_s() == 3.0);
  times.methods[0].no_room = true;
  CHECK_FALSE(times.full_by_peer_s());
}

TEST_CASE("bench: balanced blocks make ranks take equally long") {
  ApbConfig config;
  config.doc_len = 131072;
  config.num_ranks = 8;
  config.anchor_len = 4096;
  config.num_kept = 2048;
  std::vector<RankCost> measured;
  const auto pairs = [](double a, double p, double b) {
    return a * (a + 1) / 2 + b * (a + p) + b * (b + 1) / 2;
  };
  constexpr double kRow_s = 6e-7, kPair_s = 4.4e-11;
  const auto cost = [&](int rank, double block) {
    const double anchor = rank == 0 ? 0 : 4096;
    return RankCost{kRow_s * (anchor + block), kPair_s * pairs(anchor, 2048.0 * rank, block)};
  };
  for (int rank = 0; rank < 8; ++rank) measured.push_back(cost(rank, 16384));
  const std::vector<Index> lens = balanced_block_lens(config, measured);
  REQUIRE(lens.size() == 8);
  CHECK(std::accumulate(lens.begin(), lens.end(), Index{0}) == config.doc_len);
  const RankCost first = cost(0, static_cast<double>(lens[0]));
  for (int rank = 1; rank < 8; ++rank) {
    const RankCost its = cost(rank, static_cast<double>(lens[static_cast<std::size_t>(rank)]));
    CHECK(std::abs((its.rows_s + its.attention_s) / (first.rows_s + first.attention_s) - 1) < 1e-3);
  }
}

TEST_CASE("bench: apb sim calibrate reads the record") {
  BenchResults results;
  results.lengths.push_back(two_ranks());
  results.products.push_back({{4096, 6144, 4096}, {260e-6, 255e-6, 270e-6}});
  results.attention.push_back({"apb", {true, 4096, 4096, 32, 8, 128}, 485e-6});
  results.attention.push_back({"apb", {false, 4096, 18432, 32, 8, 128}, 3e-3});
  const TemporaryFolder folder;
  const std::string path = folder.file("bench.json");
  write_whole_file(path, bench_json(results).dump());
  sim::Measurements read;
  sim::read_bench_json(path, read);
  REQUIRE(read.gemm.size() == 1);
  CHECK(read.gemm.front().m == 4096);
  REQUIRE(read.attention.size() == 1);
  CHECK(read.attention.front().backend == "apb");
  CHECK(read.attention.front().fused_segments);
  CHECK(read.attention.front().points.size() == 2);
}

TEST_CASE("bench: a line for each part of each rank") {
  BenchResults results;
  results.lengths.push_back(two_ranks());
  const std::string csv = bench_csv(results);
  const auto lines = std::count(csv.begin(), csv.end(), '\n');
  CHECK(lines == 1 + 3 * (kNumLayerParts + 2));
  CHECK(csv.find("m,1024,2,apb,0,0,1,1,128,512,all,4500,4500,4500\n") != std::string::npos);
  CHECK(summary_text(results).find("2.22x") != std::string::npos);  // 10 over 4.5
}

}  // namespace apb::cuda
