// Every method against its mask, pair by pair, and the mask against the design's words.

#include "reference/attention/visibility.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/catch.hpp"
#include "tests/compare.hpp"
#include "tests/methods/attention_system.hpp"

namespace apb {
namespace {

TEST_CASE("is_visible says what the design says", "[methods]") {
  for (Index q = 0; q < 4; ++q) {
    for (Index k = 0; k < 4; ++k) {
      CHECK(is_visible(Segment::kAnchor, q, Segment::kAnchor, k) == (k <= q));
      CHECK_FALSE(is_visible(Segment::kAnchor, q, Segment::kPassing, k));
      CHECK_FALSE(is_visible(Segment::kAnchor, q, Segment::kBlock, k));
      CHECK(is_visible(Segment::kBlock, q, Segment::kAnchor, k));
      CHECK(is_visible(Segment::kBlock, q, Segment::kPassing, k));
      CHECK(is_visible(Segment::kBlock, q, Segment::kBlock, k) == (k <= q));
    }
  }
}

template <class Scalar>
void check_against_mask(Method method, const ApbConfig& config,
                        const TokenTensors<Scalar>& tokens) {
  CAPTURE(to_string(method), config.doc_len, config.num_ranks, config.block_lens,
          config.anchor_len);
  CAPTURE(config.embedded_query_len, to_string(config.anchor_convention), config.num_kept,
          to_string(config.compressor));
  const auto runs = run_layer(method, config, tokens);
  const Index most_keys = config.doc_len + config.anchor_len + config.embedded_query_len;
  const AttentionTolerance tolerance =
      attention_tolerance<Scalar>(config.head_dim, most_keys, 8 * config.softmax_scale, 1.0);
  for (int rank = 0; rank < config.num_ranks; ++rank) {
    const RankRun<Scalar>& run = runs[static_cast<std::size_t>(rank)];
    const ExpectedRank expected = expected_rank(config, runs, rank);
    CAPTURE(rank);
    CHECK(compare(run.output.attention.out, expected.attention.out) <= tolerance.out);
    CHECK(compare(run.output.attention.lse, expected.attention.lse) <= tolerance.lse);
    CHECK(run.counters.attention_flop ==
          4 * config.head_dim * config.num_q_heads * expected.visible_pairs);
  }
}

TEMPLATE_TEST_CASE("every method equals its mask, whatever the configuration", "[methods]", float,
                   double) {
  RandomTensors random(81);
  for (int round = 0; round < 60; ++round) {
    const ApbConfig config = random_config(random);
    const auto tokens = random_tokens<TestType>(config, random);
    for (const Method method : kBlockMethods) check_against_mask(method, config, tokens);
  }
}

TEMPLATE_TEST_CASE("blocks longer than a tile", "[methods]", float, double) {
  RandomTensors random(82);
  ApbConfig config = small_config(301, 2);
  config.anchor_len = 70;
  config.compressor = Compressor::kRandom;
  config.num_kept = 66;
  check_against_mask(Method::kApb, config, random_tokens<TestType>(config, random));
}

}  // namespace
}  // namespace apb
