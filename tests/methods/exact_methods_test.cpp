// Ring, zigzag Ring, All-gather and Ulysses compute full attention, however the document is cut.

#include <cmath>
#include <limits>

#include "reference/core/error.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/methods/attention_system.hpp"
#include "tests/support/adapted_config.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

TEMPLATE_TEST_CASE("exact methods equal full attention", "[methods]", float, double) {
  RandomTensors random(121);
  for (const Index doc_len : {0, 1, 2, 7, 64, 130, 301}) {
    for (const int num_ranks : {1, 2, 3, 4, 8}) {
      for (const bool uneven : {false, true}) {
        ApbConfig config = small_config(doc_len, num_ranks);
        if (uneven) config.block_lens = random.split(doc_len, num_ranks);
        const auto tokens = random_tokens<TestType>(config, random);
        const auto full = document_attention(run_layer(Method::kFull, config, tokens));
        const AttentionTolerance tolerance = attention_tolerance<TestType>(
            config.head_dim, config.doc_len, 8 * config.softmax_scale, 1.0);
        for (const MethodEntry& entry : kMethodList) {
          if (!entry.exact) continue;
          const Method method = entry.method;
          CAPTURE(entry.name, doc_len, num_ranks, config.block_lens);
          const auto exact =
              document_attention(run_layer(method, adapted_to(method, config), tokens));
          REQUIRE(exact.out.rows() == doc_len);
          CHECK(compare(exact.out, full.out) <= 2 * tolerance.out);
          if (method != Method::kUlysses) CHECK(compare(exact.lse, full.lse) <= 2 * tolerance.lse);
        }
      }
    }
  }
}

TEST_CASE("exact methods: a key or value that is NaN reaches no row before its token",
          "[methods]") {
  RandomTensors random(126);
  const ApbConfig config = small_config(22, 3);
  const auto tokens = random_tokens<double>(config, random);
  for (const MethodEntry& entry : kMethodList) {
    if (!entry.exact) continue;
    const auto clean = document_attention(run_layer(entry.method, config, tokens));
    for (const Index token : {0, 9, 21}) {
      for (HeadsTensor<double> TokenTensors<double>::*part :
           {&TokenTensors<double>::key, &TokenTensors<double>::value}) {
        CAPTURE(entry.name, token);
        TokenTensors<double> spoilt = tokens;
        *(spoilt.*part).view().at(token, 0) = std::numeric_limits<double>::quiet_NaN();
        const auto found = document_attention(run_layer(entry.method, config, spoilt));
        for (Index row = 0; row < config.doc_len; ++row) {
          const double out = *found.out.view().at(row, 0);
          if (row < token) {
            CHECK(out == *clean.out.view().at(row, 0));
          } else {
            CHECK(std::isnan(out));
          }
        }
      }
    }
  }
}

TEST_CASE("exact methods do the same work in all, zigzag in equal parts", "[methods]") {
  RandomTensors random(122);
  const ApbConfig config = small_config(64, 2);  // 2 KV heads on 2 ranks: Ulysses is balanced too
  const auto tokens = random_tokens<double>(config, random);
  const std::int64_t full = run_layer(Method::kFull, config, tokens)[0].counters.attention_flop;
  for (const Method method :
       {Method::kRing, Method::kZigzagRing, Method::kAllGather, Method::kUlysses}) {
    CAPTURE(to_string(method));
    const auto runs = run_layer(method, config, tokens);
    const std::int64_t first = runs[0].counters.attention_flop;
    const std::int64_t second = runs[1].counters.attention_flop;
    CHECK(first + second == full);
    if (method == Method::kRing) {
      CHECK(second > 2 * first);  // 32 rows see 32 keys more
    } else {
      CHECK(first == second);
    }
  }
}

TEST_CASE("bytes of the exact methods as published", "[methods]") {
  // Ring: (H - 1) (n / H) 2 d_kv elements each way; Ulysses: (H - 1) / H (n / H) (2 h + 2 h_kv) d
  // sent. Here n = 64, H = 2, h = 6, h_kv = 2, d = 8, 8 bytes.
  RandomTensors random(123);
  const ApbConfig config = small_config(64, 2);
  const auto tokens = random_tokens<double>(config, random);
  for (const Method method : {Method::kRing, Method::kZigzagRing}) {
    for (const auto& run : run_layer(method, config, tokens)) {
      CHECK(run.counters.bytes_sent == 1 * 32 * 2 * (2 * 8) * 8);
      CHECK(run.counters.bytes_received == run.counters.bytes_sent);
    }
  }
  for (const auto& run : run_layer(Method::kUlysses, config, tokens)) {
    CHECK(run.counters.bytes_sent == 32 * (2 * 6 + 2 * 2) * 8 * 8 / 2);
    CHECK(run.counters.bytes_received == run.counters.bytes_sent);
  }
}

TEST_CASE("all-gather: everybody receives what all others hold", "[methods]") {
  RandomTensors random(125);
  const ApbConfig config = small_config(23, 3);  // chunks of 4, 4, 4, 4, 4, 3
  const auto tokens = random_tokens<double>(config, random);
  const auto runs = run_layer(Method::kAllGather, config, tokens);
  const std::vector<Index> rows{7, 8, 8};
  for (std::size_t r = 0; r < runs.size(); ++r) {
    const std::int64_t row_bytes = 2 * (2 * 8) * 8;  // K and V, 2 heads of 8, double
    CHECK(runs[r].counters.bytes_received == (23 - rows[r]) * row_bytes);
    CHECK(runs[r].counters.bytes_sent == 2 * rows[r] * row_bytes);
  }
}

TEST_CASE("Ulysses with more ranks than KV heads: some ranks attend to nothing", "[methods]") {
  RandomTensors random(124);
  const ApbConfig config = small_config(30, 5);
  const auto tokens = random_tokens<double>(config, random);
  int working = 0;
  for (const auto& run : run_layer(Method::kUlysses, config, tokens)) {
    if (run.counters.attention_flop > 0) ++working;
  }
  CHECK(working == 2);
}

TEST_CASE("zigzag: every rank holds an early and a late chunk", "[methods]") {
  const ApbConfig config = method_config(Method::kZigzagRing, small_config(22, 3));
  const BlockLayout layout = method_layout(Method::kZigzagRing, config);
  CHECK(config.block_lens == std::vector<Index>{6, 8, 8});  // chunks of 4, 4, 4, 4, 4, 2
  std::vector<int> owners;
  for (Index token = 0; token < 22; ++token) owners.push_back(layout.owner(token));
  CHECK(owners == std::vector<int>{0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2,  //
                                   2, 2, 2, 2, 1, 1, 1, 1, 0, 0});
  CHECK(layout.ranks[1].doc_pos(3) == 7);
  CHECK(layout.ranks[1].position(4) == 16);
  CHECK(layout.ranks[1].cached_row(17) == 5);
  CHECK_FALSE(layout.ranks[1].cached_row(20).has_value());

  ApbConfig given = small_config(22, 2);
  given.block_lens = {10, 12};
  CHECK_THROWS_AS(method_config(Method::kZigzagRing, given), BadInput);
  CHECK_THROWS_AS(method_config(Method::kSpava, given), BadInput);
  given.block_lens.clear();
  given.compressor = Compressor::kRetainingHead;
  CHECK_THROWS_AS(method_config(Method::kSpava, given), BadInput);
}

}  // namespace
}  // namespace apb
