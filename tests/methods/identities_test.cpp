// Answers that are known without computing them: when methods must agree.

#include <algorithm>

#include "reference/core/error.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/methods/attention_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

/// Two roundings of the same attention.
template <class Scalar>
void check_same(const AttentionPartial<Scalar>& a, const AttentionPartial<Scalar>& b,
                const ApbConfig& config) {
  const AttentionTolerance one = attention_tolerance<Scalar>(
      config.head_dim, config.doc_len + config.anchor_len + config.embedded_query_len,
      8 * config.softmax_scale, 1.0);
  CHECK(compare(a.out, b.out) <= 2 * one.out);
  CHECK(compare(a.lse, b.lse) <= 2 * one.lse);
}

TEMPLATE_TEST_CASE("one rank is full attention", "[methods]", float, double) {
  RandomTensors random(91);
  const Method method = GENERATE(Method::kStar, Method::kApb);
  for (const Index doc_len : {0, 1, 17, 130}) {
    ApbConfig config = small_config(doc_len, 1);
    config.anchor_len = doc_len / 3;
    config.embedded_query_len = 2;
    config.compressor = Compressor::kQueryAware;
    config.num_kept = 5;
    const auto tokens = random_tokens<TestType>(config, random);
    const auto full = run_layer(Method::kFull, config, tokens);
    const auto runs = run_layer(method, config, tokens);
    check_same(document_attention(runs), document_attention(full), config);
    CHECK(runs[0].output.selection.kept_positions.empty());
    CHECK(runs[0].counters == full[0].counters);
  }
}

TEMPLATE_TEST_CASE("APB that keeps everything, without a query, is full attention", "[methods]",
                   float, double) {
  RandomTensors random(92);
  for (const Compressor compressor : {Compressor::kRandom, Compressor::kRecent}) {
    for (const Index doc_len : {1, 2, 17, 64, 113}) {
      for (const int num_ranks : {2, 3, 5}) {
        for (const bool uneven : {false, true}) {
          ApbConfig config = small_config(doc_len, num_ranks);
          if (uneven) config.block_lens = random.split(doc_len, num_ranks);
          config.compressor = compressor;
          config.num_kept = doc_len;
          const Index first_block = config.resolved_block_lens().front();
          for (const Index anchor_len : {Index{0}, (first_block + 1) / 2, first_block}) {
            config.anchor_len = anchor_len;
            CAPTURE(doc_len, num_ranks, config.block_lens, anchor_len);
            const auto tokens = random_tokens<TestType>(config, random);
            const auto full = document_attention(run_layer(Method::kFull, config, tokens));
            const auto runs = run_layer(Method::kApb, config, tokens);
            check_same(document_attention(runs), full, config);
            for (const auto& run : runs) {  // anchor rows are the document's first rows
              const Index rows = run.layout.anchor_rows;
              check_same(rows_of(run.output.attention, 0, rows), rows_of(full, 0, rows), config);
            }
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE("APB that keeps nothing is Star with the same anchor", "[methods]", float,
                   double) {
  RandomTensors random(93);
  for (int round = 0; round < 40; ++round) {
    ApbConfig config = random_config(random);
    const auto tokens = random_tokens<TestType>(config, random);
    const auto star = run_layer(Method::kStar, config, tokens);
    config.num_kept = 0;
    if (random.below(2) == 0) config.compressor = Compressor::kNone;
    CAPTURE(config.doc_len, config.num_ranks, config.anchor_len, to_string(config.compressor));
    const auto apb = run_layer(Method::kApb, config, tokens);
    for (std::size_t rank = 0; rank < apb.size(); ++rank) {
      check_same(apb[rank].output.attention, star[rank].output.attention, config);
      CHECK(apb[rank].counters.attention_flop == star[rank].counters.attention_flop);
    }
  }
}

TEMPLATE_TEST_CASE("the order of passing entries changes only rounding", "[methods]", float,
                   double) {
  RandomTensors random(94);
  const ApbConfig config = small_config(100, 1);
  const auto query = random.heads<TestType>(20, 6, 8);
  const auto own = random_tokens<TestType>(small_config(20, 1), random);
  const auto key = random.heads<TestType>(60, 2, 8);
  const auto value = random.heads<TestType>(60, 2, 8);
  const auto attend_with = [&](const HeadsTensor<TestType>& k, const HeadsTensor<TestType>& v) {
    const std::vector<KeySegment<TestType>> segments{
        {k.view(), v.view(), Visibility::kAll},
        {own.key.view(), own.value.view(), Visibility::kCausal}};
    Counters counters;
    return attend<TestType>(query.view(), segments, config.softmax_scale, counters);
  };
  HeadsTensor<TestType> permuted_key(0, 2, 8);
  HeadsTensor<TestType> permuted_value(0, 2, 8);
  for (Index i = 0; i < 60; ++i) {
    const Index from = (i * 37 + 11) % 60;  // 37 has no factor in common with 60
    permuted_key.append(key.view().slice(from, 1));
    permuted_value.append(value.view().slice(from, 1));
  }
  const auto in_order = attend_with(key, value);
  check_same(attend_with(permuted_key, permuted_value), in_order, config);
  // Keys and values must move together: this is not a permutation of entries.
  CHECK_FALSE(compare(attend_with(permuted_key, value).out, in_order.out) <= 1e-3);
}

TEST_CASE("methods have names, and unknown ones are refused with the known ones", "[methods]") {
  for (const MethodEntry& entry : kMethodList) CHECK(parse_method(entry.name) == entry.method);
  CHECK_THROWS_WITH(parse_method("rings"),
                    "config: method = rings: must be one of full, ring, zigzag_ring, all_gather, "
                    "ulysses, star, ape, apb, spava");
  CHECK_THROWS_AS(parse_method(""), BadInput);
}

TEST_CASE("a method switches off what it does not use", "[methods]") {
  ApbConfig config = small_config(30, 3);
  config.anchor_convention = AnchorConvention::kOfficial;
  config.anchor_len = 6;
  config.embedded_query_len = 2;
  config.query_insert_at = 3;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = 4;

  const BlockLayout full = make_block_layout(method_config(Method::kFull, config));
  CHECK(full.ranks[0].block_len == 30);
  CHECK(full.ranks[1].rows() == 0);
  CHECK(full.ranks[2].rows() == 0);
  const BlockLayout star = make_block_layout(method_config(Method::kStar, config));
  CHECK(star.ranks[2].anchor_rows == 6);
  CHECK(star.ranks[2].passing_rows == 0);
  const BlockLayout apb = make_block_layout(method_config(Method::kApb, config));
  CHECK(apb.ranks[2].anchor_rows == 6);
  CHECK(apb.ranks[2].passing_rows == 8);
}

}  // namespace
}  // namespace apb
