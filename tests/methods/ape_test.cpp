// APE: reused positions, prefix and context, and the query's tempered attention.

#include <cmath>

#include "tests/attention/naive_attention.hpp"
#include "tests/methods/attention_system.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/local_ranks.hpp"

namespace apb {
namespace {

TEST_CASE("APE: contexts reuse positions, the query stands behind the longest", "[methods]") {
  ApbConfig config = small_config(31, 4);
  config.block_lens = {8, 12, 0, 11};
  config.anchor_len = 3;
  config.query_len = config.embedded_query_len = 2;
  const BlockLayout layout = method_layout(Method::kApe, method_config(Method::kApe, config));
  CHECK(layout.ranks[0].anchor_rows == 0);
  CHECK(layout.ranks[0].position(7) == 7);
  CHECK(layout.ranks[1].anchor_rows == 3);  // no query in it
  CHECK(layout.ranks[1].doc_pos(3) == 8);
  CHECK(layout.ranks[1].position(2) == 2);
  CHECK(layout.ranks[1].position(3) == 3);  // right behind the prefix
  CHECK(layout.ranks[3].position(3 + 10) == 13);
  CHECK(layout.query_position == 3 + 12);
}

TEMPLATE_TEST_CASE("APE's prefill is Star's, without a query in the anchor", "[methods]", float,
                   double) {
  RandomTensors random(141);
  for (int round = 0; round < 20; ++round) {
    ApbConfig config = random_config(random);
    config.anchor_convention = AnchorConvention::kPaper;
    config.query_insert_at = 0;
    config.query_len = config.embedded_query_len = 0;
    config.compressor = Compressor::kNone;
    config.num_kept = 0;
    const auto tokens = random_tokens<TestType>(config, random);
    const auto star = run_layer(Method::kStar, config, tokens);
    const auto ape = run_layer(Method::kApe, config, tokens);
    for (std::size_t rank = 0; rank < ape.size(); ++rank) {
      CHECK(bit_equal(ape[rank].output.attention.out, star[rank].output.attention.out));
      CHECK(ape[rank].counters == star[rank].counters);
    }
  }
}

/// exp(score) weights over all keys, with APE's temperature and scale, written out directly.
NaiveRow tempered(const double* query, const std::vector<NaiveKey<double>>& contexts,
                  const std::vector<NaiveKey<double>>& rest, const ApbConfig& config) {
  const double t = config.ape_temperature;
  const auto in = naive_row<double>(query, contexts, config.head_dim, config.softmax_scale / t);
  const auto out = naive_row<double>(query, rest, config.head_dim, config.softmax_scale);
  const double weight_in = std::exp(config.ape_scale * t * in.lse);
  const double weight_out = std::exp(out.lse);
  NaiveRow merged = in;
  for (std::size_t i = 0; i < merged.out.size(); ++i) {
    merged.out[i] = (weight_in * in.out[i] + weight_out * out.out[i]) / (weight_in + weight_out);
  }
  merged.lse = std::log(weight_in + weight_out);
  return merged;
}

TEST_CASE("APE's query: contexts tempered and scaled, prefix and query plain", "[methods]") {
  RandomTensors random(142);
  for (const double temperature : {1.0, 0.9, 0.3}) {
    for (const double scale : {1.0, 0.9, 1.7}) {
      for (const int num_ranks : {1, 3}) {
        ApbConfig config = small_config(20, num_ranks);
        config.anchor_len = 4;
        config.ape_temperature = temperature;
        config.ape_scale = scale;
        config = method_config(Method::kApe, config);
        const BlockLayout layout = method_layout(Method::kApe, config);
        const auto document = random_tokens<double>(config, random);
        const auto rows = random_tokens<double>(small_config(2, 1), random);  // of the query
        const auto earlier = random_tokens<double>(small_config(3, 1), random);
        const auto results = on_local_ranks(num_ranks, [&](Communicator& communicator) {
          const RankContext context{config, layout, communicator};
          const RankLayout& own = context.rank_layout();
          HeadsTensor<double> key(0, 2, 8);
          HeadsTensor<double> value(0, 2, 8);
          key.append(document.key.view().slice(own.block_begin, own.block_len));
          value.append(document.value.view().slice(own.block_begin, own.block_len));
          if (communicator.rank() == num_ranks - 1) {  // rows that were appended before
            key.append(earlier.key.view());
            value.append(earlier.value.view());
          }
          Counters counters;
          return query_attention<double>(
              Method::kApe, context,
              {rows.query.view(), rows.key.view(), rows.value.view(), key.view(), value.view()},
              counters);
        });
        for (Index row = 0; row < 2; ++row) {
          for (Index head = 0; head < 6; ++head) {
            std::vector<NaiveKey<double>> contexts;
            std::vector<NaiveKey<double>> rest;
            const auto add = [&](std::vector<NaiveKey<double>>& keys,
                                 const TokenTensors<double>& from, Index begin, Index end) {
              for (Index i = begin; i < end; ++i) {
                keys.push_back(
                    {from.key.view().at(i, head / 3), from.value.view().at(i, head / 3)});
              }
            };
            add(contexts, document, 4, 20);
            add(rest, document, 0, 4);
            add(rest, earlier, 0, 3);
            add(rest, rows, 0, row + 1);
            const auto expected = tempered(rows.query.view().at(row, head), contexts, rest, config);
            for (const auto& result : results) {
              CHECK(std::abs(result.lse(row, head) - expected.lse) <= 1e-12);
              for (Index i = 0; i < 8; ++i) {
                CHECK(std::abs(result.out.view().at(row, head)[i] -
                               expected.out[static_cast<std::size_t>(i)]) <= 1e-12);
              }
            }
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace apb
