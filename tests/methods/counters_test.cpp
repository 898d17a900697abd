// Counted work against closed forms (docs/contracts.md, "Counters"). Per query head of size d:
// n causal rows cost 2 n (n + 1) d, n rows that all see m keys cost 4 n m d. The brute-force count
// over visible pairs is in mask_test.cpp, over the same kinds of configuration.

#include <limits>

#include "tests/methods/attention_system.hpp"
#include "tests/support/catch.hpp"

namespace apb {
namespace {

std::int64_t causal_flop(Index rows, Index head_dim) {
  return 2 * rows * (rows + 1) * head_dim;
}
std::int64_t dense_flop(Index rows, Index keys, Index head_dim) {
  return 4 * rows * keys * head_dim;
}

/// Attention of one rank, all query heads.
std::int64_t attention_flop(Method method, const ApbConfig& config, const RankLayout& own) {
  const Index d = config.head_dim;
  std::int64_t one_head = causal_flop(own.rows(), d);  // full, star: one causal sequence
  if (method == Method::kApb) {
    one_head = causal_flop(own.anchor_rows, d) +
               dense_flop(own.block_len, own.anchor_rows + own.passing_rows, d) +
               causal_flop(own.block_len, d);
  }
  return config.num_q_heads * one_head;
}

/// query_aware multiplies one mean query per KV head with the block's keys.
std::int64_t compressor_flop(const ApbConfig& config, const RankLayout& own) {
  if (config.compressor != Compressor::kQueryAware || config.num_ranks == 1) return 0;
  return 2 * own.block_len * config.num_kv_heads * config.head_dim;
}

struct Bytes {
  std::int64_t received = 0;
  std::int64_t sent = 0;
};

Bytes bytes(const ApbConfig& config, const BlockLayout& layout, int rank, std::int64_t element) {
  const std::int64_t entry = 2 * config.num_kv_heads * config.head_dim * element;  // key and value
  Bytes expected;
  for (int other = 0; other < config.num_ranks; ++other) {
    const Index kept = layout.ranks[static_cast<std::size_t>(other)].num_kept;
    if (other == rank) {
      expected.sent += (config.num_ranks - 1) * kept * entry;
    } else {
      expected.received += kept * entry;
    }
  }
  if (config.compressor == Compressor::kQueryAware && config.num_ranks > 1) {  // rank 1 to rank 0
    const std::int64_t query =
        config.embedded_query_len * config.num_q_heads * config.head_dim * element;
    if (rank == 0) expected.received += query;
    if (rank == 1) expected.sent += query;
  }
  return expected;
}

TEMPLATE_TEST_CASE("counters equal the closed forms", "[methods]", float, double) {
  RandomTensors random(111);
  for (int round = 0; round < 100; ++round) {
    const ApbConfig given = random_config(random);
    const auto tokens = random_tokens<TestType>(given, random);
    for (const MethodEntry& entry : kMethodList) {
      if (!entry.block_form) continue;
      const Method method = entry.method;
      const ApbConfig config = method_config(method, given);
      const BlockLayout layout = make_block_layout(config);
      CAPTURE(to_string(method), config.doc_len, config.num_ranks, config.block_lens);
      CAPTURE(config.anchor_len, config.embedded_query_len, config.num_kept,
              to_string(config.compressor));
      const auto runs = run_layer(method, given, tokens);
      for (int rank = 0; rank < config.num_ranks; ++rank) {
        CAPTURE(rank);
        const RankLayout& own = layout.ranks[static_cast<std::size_t>(rank)];
        const auto [received, sent] = bytes(config, layout, rank, sizeof(TestType));
        const Counters expected{.attention_flop = attention_flop(method, config, own),
                                .compressor_flop = compressor_flop(config, own),
                                .bytes_received = received,
                                .bytes_sent = sent};
        const Counters& counted = runs[static_cast<std::size_t>(rank)].counters;
        CHECK(counted.attention_flop == expected.attention_flop);
        CHECK(counted.compressor_flop == expected.compressor_flop);
        CHECK(counted.bytes_received == expected.bytes_received);
        CHECK(counted.bytes_sent == expected.bytes_sent);
        CHECK(counted == expected);
      }
    }
  }
}

TEST_CASE("whole systems: the published forms plus 2 rows d per causal run", "[methods]") {
  // 4 ranks of 16 tokens, anchor 4 + 2 query rows, 3 kept: l_b = 16, l_a = 6 rows, l_p = 3.
  RandomTensors random(112);
  ApbConfig config = small_config(64, 4);
  config.anchor_len = 4;
  config.embedded_query_len = 2;
  config.compressor = Compressor::kRandom;
  config.num_kept = 3;
  const auto tokens = random_tokens<double>(config, random);
  const auto system_flop = [&](Method method) {
    std::int64_t total = 0;
    for (const auto& run : run_layer(method, config, tokens)) total += run.counters.attention_flop;
    return total;
  };
  const std::int64_t d = 6 * 8;  // all query heads
  CHECK(system_flop(Method::kFull) == 2 * 64 * 64 * d + 2 * 64 * d);
  CHECK(system_flop(Method::kStar) ==
        2 * 16 * 16 * d + 3 * 2 * 22 * 22 * d + 2 * (16 + 3 * 22) * d);
  // The passing term is 2 H (H - 1) l_p l_b d (docs/authors-code.md, D12).
  CHECK(system_flop(Method::kApb) == system_flop(Method::kStar) + 2 * 4 * 3 * 3 * 16 * d);
}

TEST_CASE("NaN importances are counted and kept last", "[methods]") {
  RandomTensors random(113);
  ApbConfig config = small_config(24, 3);
  config.embedded_query_len = 2;
  config.compressor = Compressor::kQueryAware;
  config.pool_kernel = 1;
  config.num_kept = 7;
  auto tokens = random_tokens<double>(config, random);
  tokens.key.view().at(9, 1)[0] = std::numeric_limits<double>::quiet_NaN();
  const auto runs = run_layer(Method::kApb, config, tokens);
  CHECK(runs[0].counters.nan_scores == 0);
  CHECK(runs[1].counters.nan_scores == 1);
  CHECK(runs[2].counters.nan_scores == 0);
  const auto& kept = runs[1].output.selection.kept_positions;
  CHECK(kept[1] == std::vector<Index>{8, 10, 11, 12, 13, 14, 15});
}

}  // namespace
}  // namespace apb
