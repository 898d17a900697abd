// The closed form of a layer's work against what the running code counts.

#include "reference/core/work.hpp"

#include "reference/core/error.hpp"
#include "tests/catch.hpp"
#include "tests/methods/attention_system.hpp"
#include "tests/model/model_system.hpp"

namespace apb {
namespace {

TEMPLATE_TEST_CASE("layer_work is what one attention layer counts", "[work]", float, double) {
  RandomTensors random(171);
  for (int round = 0; round < 60; ++round) {
    const ApbConfig given = random_config(random);
    const auto tokens = random_tokens<TestType>(given, random);
    for (const Method method : kMethods) {
      const ApbConfig config = method_config(method, given);
      CAPTURE(to_string(method), config.doc_len, config.num_ranks, config.block_lens);
      CAPTURE(config.anchor_len, config.num_kept, to_string(config.compressor));
      const auto work = layer_work(config, sizeof(TestType));
      const auto runs = run_layer(method, given, tokens);
      REQUIRE(work.size() == runs.size());
      for (std::size_t rank = 0; rank < runs.size(); ++rank) {
        Counters counted = runs[rank].counters;
        counted.rows_computed = runs[rank].layout.rows();  // counted by prefill, not by attention
        CHECK(work[rank] == counted);
        CHECK(visible_pairs(runs[rank].layout) ==
              expected_rank(config, runs, static_cast<int>(rank)).visible_pairs);
      }
    }
  }
}

TEMPLATE_TEST_CASE("layer_work with the model's sizes is what prefill counts", "[work]", float,
                   double) {
  const auto weights = toy_weights<TestType>(172);
  ApbConfig config;
  config.doc_len = 45;
  config.num_ranks = 4;
  config.anchor_len = 5;
  config.embedded_query_len = 3;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = 6;
  for (const Method method : kMethods) {
    const ModelCase work = make_model_case(method, config, weights, 173);
    const LayerSizes sizes{weights.config.hidden_size, weights.config.intermediate_size};
    const auto expected = layer_work(work.config, sizeof(TestType), sizes);
    const auto ranks = prefill_ranks(work, weights);
    for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
      CHECK(ranks[rank].counters == std::vector<Counters>(4, expected[rank]));
    }
  }
}

TEST_CASE("layer_work refuses what cannot be counted in 62 bits", "[work]") {
  ApbConfig config;
  config.doc_len = Index{1} << 30;
  config.num_q_heads = 1024;
  config.head_dim = 4096;
  CHECK_THROWS_AS(layer_work(config, 2), BadInput);
  config.num_q_heads = 1;
  config.head_dim = 1;
  // 2 n (n + 1) of n = 2^30 rows, written out.
  CHECK(layer_work(config, 2).front().attention_flop == 2305843011361177600);
}

}  // namespace
}  // namespace apb
