// What needs no GPU of apb scale: what follows from its times, and that its record can be read.
#include <cmath>
#include <nlohmann/json.hpp>

#include "cuda/tools/scale/scale_report.hpp"
#include "reference/cli/whole_file.hpp"
#include "sim/calibrate/measurements.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb::cuda {
namespace {

Timing about(double seconds) {
  return {seconds, 0.9 * seconds, 1.1 * seconds};
}

ScaledLayer layer_of(const std::string& method, double whole_s, double exchange_s) {
  ScaledLayer layer{.method = method, .doc_len = 32768};
  layer.whole = layer.computing = about(whole_s);
  layer.exchange = about(exchange_s);
  layer.received_bytes = 1e9 * exchange_s;
  layer.less_s = -0.75 * exchange_s;  // whole takes so much longer than computing
  layer.less_spread_s = 0.5e-3;
  layer.of_rank.resize(2);
  layer.of_rank[1].part_s[static_cast<std::size_t>(LayerPart::kAttention)] = whole_s;
  layer.of_rank[1].total_s = whole_s;
  return layer;
}

ScaleResults two_ranks() {
  ScaleResults results;
  results.model = "M";
  results.gpus = {"G", "G"};
  results.num_ranks = 2;
  for (const bool windows : {false, true}) {
    for (const bool captured : {false, true}) {
      results.exchanges.push_back(
          {{ExchangeKind::kAllReduce, 1 << 20, windows, captured}, about(windows ? 10e-6 : 20e-6)});
    }
  }
  results.layers = {layer_of("full", 48e-3, 0), layer_of("ulysses", 24e-3, 2e-3),
                    layer_of("apb", 16e-3, 0.1e-3)};
  results.layers.push_back({.method = "tensor_parallel", .doc_len = 32768});
  results.layers.back().why_not = "no room in a GPU's memory";
  results.prefills.push_back({.method = "apb", .doc_len = 32768, .num_layers = 32});
  results.prefills.back().whole = about(0.9);
  results.prefills.back().layer_s = 26e-3;
  return results;
}

}  // namespace

TEST_CASE("scale: what overlap wins is told only where runs agree") {
  const ScaleResults results = two_ranks();
  REQUIRE(results.layers[1].won_s());
  CHECK(std::abs(*results.layers[1].won_s() - 0.5e-3) < 1e-12);  // a quarter of 2 ms hides
  CHECK_FALSE(results.layers[2].won_s());                        // 0.1 ms, and runs differ by 0.5
  ScaledLayer steady = results.layers[1];
  steady.exchange = about(1e-3);  // more than pairs differ by, but 4 % of the layer
  CHECK_FALSE(steady.won_s());
  const std::string text = layers_text(results, 32768);
  CHECK(text.find("25 %") != std::string::npos);
  CHECK(text.find("3.00x") != std::string::npos);
  CHECK(text.find("no room in a GPU's memory") != std::string::npos);
  const nlohmann::json layers = scale_json(results).at("layers");
  CHECK(layers[1].contains("won_us"));
  CHECK_FALSE(layers[2].contains("won_us"));
  CHECK(layers[3].at("why_not") == "no room in a GPU's memory");
  CHECK(layers[0].at("num_ranks") == 1);
  const std::string csv = scale_csv(results);
  CHECK(csv.find("layer,ulysses,32768,2,won,500,500,500\n") != std::string::npos);
  CHECK(csv.find("layer,apb,32768,2,won") == std::string::npos);
}

TEST_CASE("scale: exchanges in nccl-tests' terms") {
  CHECK(bus_share(ExchangeKind::kAllGather, 4) == 0.75);
  CHECK(bus_share(ExchangeKind::kAllReduce, 4) == 1.5);
  CHECK(bus_share(ExchangeKind::kSendReceive, 4) == 1);
  const std::string text = exchanges_text(two_ranks());
  CHECK(text.find("52.4") != std::string::npos);   // 1 MiB in 20 us; twice a half of it is passed
  CHECK(text.find("104.9") != std::string::npos);  // in 10, in windows
}

TEST_CASE("scale: apb sim calibrate reads the record, exchanges in plain memory alone") {
  const TemporaryFolder folder;
  const std::string path = folder.file("scale.json");
  write_whole_file(path, scale_json(two_ranks()).dump());
  sim::Measurements read;
  sim::read_bench_json(path, read);
  REQUIRE(read.collectives.size() == 1);
  CHECK(read.collectives.front().kind == sim::CollectiveKind::kAllReduce);
  CHECK(read.collectives.front().num_ranks == 2);
  REQUIRE(read.collectives.front().points.size() == 1);
  CHECK(std::abs(read.collectives.front().points.front().time.number - 20e-6) < 1e-15);
  CHECK(kExchangeNames == sim::kCollectiveNames);
}

TEST_CASE("scale: a rehearsal says so") {
  ScaleResults results = two_ranks();
  CHECK(heading_text(results).find("REHEARSAL") == std::string::npos);
  results.rehearsed = true;
  CHECK(heading_text(results).find("REHEARSAL") != std::string::npos);
  CHECK(prefills_text(results).find("0.900") != std::string::npos);
}

}  // namespace apb::cuda
