// Decode over caches split among ranks is decode over their concatenation.

#include <cmath>

#include "reference/attention/merge.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/methods/attention_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

/// Attention of `query` over every part of the cache, merged.
template <class Scalar>
AttentionPartial<Scalar> decode_split(const HeadsTensor<Scalar>& query,
                                      const HeadsTensor<Scalar>& key,
                                      const HeadsTensor<Scalar>& value,
                                      const std::vector<Index>& block_lens, double softmax_scale) {
  std::vector<AttentionPartial<Scalar>> parts;
  Counters counters;
  Index begin = 0;
  for (const Index block_len : block_lens) {
    const KeySegment<Scalar> part{key.view().slice(begin, block_len),
                                  value.view().slice(begin, block_len), Visibility::kAll};
    parts.push_back(attend<Scalar>(query.view(), {&part, 1}, softmax_scale, counters));
    begin += block_len;
  }
  return merge_partials<Scalar>(parts);
}

TEMPLATE_TEST_CASE("decode over a split cache is decode over the whole cache", "[methods]", float,
                   double) {
  RandomTensors random(101);
  for (int round = 0; round < 60; ++round) {
    const Index doc_len = random.below(100);
    const auto query = random.heads<TestType>(1 + random.below(4), 6, 8);
    const auto key = random.heads<TestType>(doc_len, 2, 8);
    const auto value = random.heads<TestType>(doc_len, 2, 8);
    const auto block_lens = random.split(doc_len, static_cast<int>(1 + random.below(8)));
    CAPTURE(block_lens, query.rows());
    const auto whole = decode_split(query, key, value, {doc_len}, 0.5);
    const auto split = decode_split(query, key, value, block_lens, 0.5);
    const auto tolerance = attention_tolerance<TestType>(8, doc_len, 4.0, 1.0);
    CHECK(compare(split.out, whole.out) <= 2 * tolerance.out);
    CHECK(compare(split.lse, whole.lse) <= 2 * tolerance.lse);
  }
}

TEMPLATE_TEST_CASE("every document token counts exactly once in decode", "[methods]", float,
                   double) {
  // Keys of zero weigh all tokens alike; the value of token t is the t-th unit vector.
  RandomTensors random(102);
  for (int round = 0; round < 40; ++round) {
    ApbConfig config = random_config(random);
    if (config.doc_len == 0) continue;
    config.head_dim = config.doc_len;
    TokenTensors<TestType> tokens = random_tokens<TestType>(config, random);
    for (TestType& element : tokens.key.values()) element = 0;
    for (TestType& element : tokens.value.values()) element = 0;
    for (Index token = 0; token < config.doc_len; ++token) {
      for (Index head = 0; head < 2; ++head) tokens.value.view().at(token, head)[token] = 1;
    }
    CAPTURE(config.doc_len, config.num_ranks, config.block_lens, config.anchor_len);

    const auto query = random.heads<TestType>(1, 6, config.doc_len);
    std::vector<AttentionPartial<TestType>> parts;
    Counters counters;
    for (const auto& run : run_layer(Method::kApb, config, tokens)) {  // anchor copies are dropped
      const RankLayout& own = run.layout;
      const KeySegment<TestType> cache{run.rows.key.view().slice(own.anchor_rows, own.block_len),
                                       run.rows.value.view().slice(own.anchor_rows, own.block_len),
                                       Visibility::kAll};
      parts.push_back(attend<TestType>(query.view(), {&cache, 1}, 1.0, counters));
    }
    const auto merged = merge_partials<TestType>(parts);
    const auto n = static_cast<double>(config.doc_len);
    const auto tolerance = attention_tolerance<TestType>(0, config.doc_len, 0.0, 1.0);
    CHECK(compare(merged.out.values(), std::vector<double>(merged.out.values().size(), 1.0 / n)) <=
          tolerance.out / n);
    CHECK(compare(merged.lse, Matrix<double>(Matrix<double>::Constant(1, 6, std::log(n)))) <=
          tolerance.lse);
    CHECK(counters.attention_flop == 4 * config.head_dim * 6 * config.doc_len);
  }
}

}  // namespace
}  // namespace apb
