// Every method against what its rows must see, token by token; those whose ranks hold [anchor,
// passing, block] also against the mask is_visible, and the mask against its words.

#include "reference/attention/visibility.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/methods/visible_tokens.hpp"
#include "tests/support/adapted_config.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

TEST_CASE("is_visible: anchor rows see the anchor, block rows also passing block and block",
          "[methods]") {
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

TEMPLATE_TEST_CASE("methods of [anchor, passing, block] equal is_visible", "[methods]", float,
                   double) {
  RandomTensors random(81);
  for (int round = 0; round < 60; ++round) {
    const ApbConfig config = random_config(random);
    const auto tokens = random_tokens<TestType>(config, random);
    for (const MethodEntry& entry : kMethodList) {
      if (entry.block_form) check_against_mask(entry.method, config, tokens);
    }
  }
}

/// Attention of every row of a rank over the tokens that it must see.
template <class Scalar>
ExpectedRank expected_of_tokens(Method method, const ApbConfig& config,
                                const std::vector<RankRun<Scalar>>& runs, int rank,
                                const TokenTensors<Scalar>& tokens) {
  const RankRun<Scalar>& own = runs[static_cast<std::size_t>(rank)];
  ExpectedRank expected;
  expected.attention = {own.layout.rows(), config.num_q_heads, config.head_dim};
  for (Index row = 0; row < own.layout.rows(); ++row) {
    for (Index head = 0; head < config.num_q_heads; ++head) {
      const Index kv_head = head / config.group_size();
      std::vector<NaiveKey<Scalar>> keys;
      for (const Index token : visible_tokens(method, config, runs, rank, row, kv_head)) {
        keys.push_back(
            {tokens.key.view().at(token, kv_head), tokens.value.view().at(token, kv_head)});
      }
      // The fused query's rows are computed by all ranks together: counted on one.
      const bool counts = row < own.layout.rows() - own.layout.query_rows || rank == 0;
      if (head == 0 && counts) expected.visible_pairs += std::ssize(keys);
      expected.attention.lse(row, head) = naive_attend_row(
          own.rows.query.view().at(row, head), keys, config.head_dim, config.softmax_scale,
          {expected.attention.out.view().at(row, head), static_cast<std::size_t>(config.head_dim)});
    }
  }
  return expected;
}

template <class Scalar>
void check_against_tokens(Method method, const ApbConfig& given,
                          const TokenTensors<Scalar>& tokens) {
  const ApbConfig config = method_config(method, given);
  CAPTURE(to_string(method), config.doc_len, config.num_ranks, config.block_lens,
          config.anchor_len);
  CAPTURE(config.embedded_query_len, config.num_kept, to_string(config.compressor));
  const auto runs = run_layer(method, given, tokens);
  const Index most_keys = config.doc_len + config.anchor_len + config.embedded_query_len;
  const AttentionTolerance tolerance =
      attention_tolerance<Scalar>(config.head_dim, most_keys, 8 * config.softmax_scale, 1.0);
  Index counted_flop = 0;
  Index visible_pairs = 0;
  for (int rank = 0; rank < config.num_ranks; ++rank) {
    const RankRun<Scalar>& run = runs[static_cast<std::size_t>(rank)];
    const ExpectedRank expected = expected_of_tokens(method, config, runs, rank, tokens);
    CAPTURE(rank);
    CHECK(compare(run.output.attention.out, expected.attention.out) <= tolerance.out);
    if (method == Method::kUlysses) {
      CHECK(run.output.attention.lse.size() == 0);  // it stays on the ranks that computed it
    } else {
      CHECK(compare(run.output.attention.lse, expected.attention.lse) <= tolerance.lse);
    }
    counted_flop += run.counters.attention_flop;
    visible_pairs += expected.visible_pairs;
  }
  CHECK(counted_flop == 4 * config.head_dim * config.num_q_heads * visible_pairs);
}

TEMPLATE_TEST_CASE("every method sees what it must, whatever the configuration", "[methods]", float,
                   double) {
  RandomTensors random(83);
  for (int round = 0; round < 60; ++round) {
    const ApbConfig config = random_config(random);
    const auto tokens = random_tokens<TestType>(config, random);
    for (const MethodEntry& entry : kMethodList) {
      check_against_tokens(entry.method, adapted_to(entry.method, config), tokens);
    }
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
