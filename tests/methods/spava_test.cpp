// Spava against its own definition, pair by pair, and against full attention.

#include <numeric>

#include "reference/core/error.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/methods/attention_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

ApbConfig spava_case(Index doc_len, int num_ranks, Index anchor_len, Index num_kept) {
  ApbConfig config = small_config(doc_len, num_ranks);
  config.anchor_len = anchor_len;
  config.query_len = config.embedded_query_len = 3;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = num_kept;
  return config;
}

/// Virtual rank of a document token behind the anchor.
Index virtual_rank(const ApbConfig& config, Index doc_pos) {
  const Index chunk_len =
      (config.doc_len - config.anchor_len + 2 * config.num_ranks - 1) / (2 * config.num_ranks);
  return (doc_pos - config.anchor_len) / chunk_len;
}

/// Tokens that some rank kept for a KV head.
std::vector<bool> kept_tokens(const ApbConfig& config, const std::vector<RankRun<double>>& runs,
                              std::size_t kv_head) {
  std::vector<bool> kept(static_cast<std::size_t>(config.doc_len), false);
  for (const auto& run : runs) {
    if (run.output.selection.kept_positions.empty()) continue;
    for (const Index doc_pos : run.output.selection.kept_positions[kv_head]) {
      kept[static_cast<std::size_t>(doc_pos)] = true;
    }
  }
  return kept;
}

/// Whether a document token sees another one.
bool sees(const ApbConfig& config, const std::vector<bool>& kept, Index row, Index key) {
  if (key > row) return false;
  if (key < config.anchor_len || row < config.anchor_len) return true;
  return virtual_rank(config, key) == virtual_rank(config, row) ||
         kept[static_cast<std::size_t>(key)];
}

TEST_CASE("Spava: every row sees what its definition says", "[methods]") {
  RandomTensors random(131);
  for (const auto& [doc_len, num_ranks, anchor_len, num_kept] : {std::array<Index, 4>{41, 3, 4, 2},
                                                                 {40, 2, 0, 3},
                                                                 {64, 4, 6, 1},
                                                                 {29, 1, 5, 4},
                                                                 {23, 4, 2, 0}}) {
    const ApbConfig config = spava_case(doc_len, static_cast<int>(num_ranks), anchor_len, num_kept);
    CAPTURE(doc_len, num_ranks, anchor_len, num_kept);
    const auto tokens = random_tokens<double>(config, random);
    const auto runs = run_layer(Method::kSpava, config, tokens);
    Index pairs = 0;
    for (const auto& run : runs) {
      for (Index row = 0; row < run.layout.anchor_rows + run.layout.block_len; ++row) {
        const Index doc_pos = run.layout.doc_pos(row);
        for (Index head = 0; head < config.num_q_heads; ++head) {
          const Index kv_head = head / 3;
          const auto kept = kept_tokens(config, runs, static_cast<std::size_t>(kv_head));
          std::vector<NaiveKey<double>> keys;
          for (Index key = 0; key < doc_len; ++key) {
            if (!sees(config, kept, doc_pos, key)) continue;
            keys.push_back(
                {tokens.key.view().at(key, kv_head), tokens.value.view().at(key, kv_head)});
          }
          pairs += std::ssize(keys);
          const auto expected = naive_row<double>(tokens.query.view().at(doc_pos, head), keys,
                                                  config.head_dim, config.softmax_scale);
          const double* out = run.output.attention.out.view().at(row, head);
          double error = 0;
          for (Index i = 0; i < config.head_dim; ++i) {
            error = std::max(error, std::abs(out[i] - expected.out[static_cast<std::size_t>(i)]));
          }
          CHECK(error <= 1e-13);
          CHECK(std::abs(run.output.attention.lse(row, head) - expected.lse) <= 1e-13);
        }
      }
    }
    // The query's rows: all of the document and, once, themselves.
    const Index query_pairs = config.num_q_heads * (3 * doc_len + 6);
    std::int64_t flop = 0;
    for (const auto& run : runs) flop += run.counters.attention_flop;
    CHECK(flop == 4 * config.head_dim * (pairs + query_pairs));
  }
}

TEMPLATE_TEST_CASE("Spava that keeps everything is full attention, the query included", "[methods]",
                   float, double) {
  RandomTensors random(132);
  for (const Index doc_len : {12, 41, 130}) {
    for (const int num_ranks : {1, 2, 3, 5}) {
      for (const Index anchor_len : {Index{0}, doc_len / (2 * num_ranks + 1)}) {
        CAPTURE(doc_len, num_ranks, anchor_len);
        ApbConfig config = spava_case(doc_len, num_ranks, anchor_len, doc_len);
        const auto tokens = random_tokens<TestType>(config, random);
        const auto runs = run_layer(Method::kSpava, config, tokens);
        ApbConfig with_query = small_config(doc_len + 3, 1);  // the query as the document's end
        const auto full = run_layer(Method::kFull, with_query, tokens)[0].output.attention;
        const AttentionTolerance tolerance = attention_tolerance<TestType>(
            config.head_dim, doc_len + 3, 8 * config.softmax_scale, 1.0);
        for (const auto& run : runs) {
          const AttentionPartial<TestType>& own = run.output.attention;
          for (Index row = 0; row < run.layout.rows(); ++row) {
            const bool query_row = run.layout.doc_pos(row) == kNoDocPos;
            const Index at =
                query_row ? doc_len + row - (run.layout.rows() - 3) : run.layout.doc_pos(row);
            const auto a = rows_of(own, row, 1);
            const auto b = rows_of(full, at, 1);
            CHECK(compare(a.out, b.out) <= 2 * tolerance.out);
            CHECK(compare(a.lse, b.lse) <= 2 * tolerance.lse);
          }
        }
      }
    }
  }
}

TEST_CASE("Spava: each rank passes and receives the same, every token is cached once",
          "[methods]") {
  const ApbConfig config =
      method_config(Method::kSpava, spava_case(6 + 48, 3, 6, 2));  // 6 chunks of 8
  const BlockLayout layout = method_layout(Method::kSpava, config);
  std::vector<int> times(54, 0);
  for (const RankLayout& rank : layout.ranks) {
    CHECK(rank.rows() == 6 + 16 + 3);
    CHECK(rank.num_kept == 4);
    for (Index token = 0; token < 54; ++token) {
      times[static_cast<std::size_t>(token)] += rank.cached_row(token).has_value() ? 1 : 0;
    }
  }
  CHECK(times == std::vector<int>(54, 1));
  CHECK(layout.appending_rank == layout.owner(53));
  CHECK(layout.ranks[0].cached_rows() == 2 + 16 + 3);
  RandomTensors random(133);
  const auto runs =
      run_layer(Method::kSpava, spava_case(6 + 48, 3, 6, 2), random_tokens<double>(config, random));
  // Facts 5: attention per rank is the same but for the part of the query.
  CHECK(runs[1].counters.attention_flop - runs[2].counters.attention_flop == 0);
  for (const auto& run : runs) CHECK(run.counters.bytes_sent == run.counters.bytes_received);
  CHECK_THROWS_AS(method_config(Method::kSpava, spava_case(3, 2, 4, 1)), BadInput);
}

}  // namespace
}  // namespace apb
