// Prefill of the toy model: against a plain forward pass, and methods against each other.

#include "reference/model/prefill.hpp"
#include "reference/core/weights/toy_model.hpp"

#include "tests/model/model_system.hpp"
#include "tests/model/naive_llama.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

ApbConfig lengths(Index doc_len, int num_ranks) {
  ApbConfig config;
  config.doc_len = doc_len;
  config.num_ranks = num_ranks;
  return config;
}

TEMPLATE_TEST_CASE("full prefill is a plain forward pass", "[prefill]", float, double) {
  const auto weights = toy_weights<TestType>(3);
  for (const Index doc_len : {1, 2, 17, 70}) {
    CAPTURE(doc_len);
    const ModelCase work = make_model_case(Method::kFull, lengths(doc_len, 1), weights, 4);
    const auto expected = naive_hidden(weights, work.document);
    const auto hidden = document_hidden(prefill_ranks(work, weights));
    CHECK(compare(hidden, expected) <= model_tolerance<TestType>(expected.cwiseAbs().maxCoeff()));
  }
}

TEST_CASE("APB that keeps everything, without a query, is full prefill", "[prefill]") {
  const auto weights = toy_weights<double>(5);
  for (const Index doc_len : {1, 7, 41, 90}) {
    const ModelCase full_work = make_model_case(Method::kFull, lengths(doc_len, 1), weights, 6);
    const auto full = prefill_ranks(full_work, weights);
    const double tolerance = model_tolerance<double>(full[0].hidden.cwiseAbs().maxCoeff());
    RandomTensors random(7);
    for (const int num_ranks : {2, 3, 5}) {
      for (const bool uneven : {false, true}) {
        ApbConfig config = lengths(doc_len, num_ranks);
        if (uneven) config.block_lens = random.split(doc_len, num_ranks);
        config.compressor = Compressor::kRandom;
        config.num_kept = doc_len;
        config.anchor_len = config.resolved_block_lens().front() / 2;
        CAPTURE(doc_len, num_ranks, config.block_lens);
        const auto ranks =
            prefill_ranks(make_model_case(Method::kApb, config, weights, 6), weights);
        CHECK(compare(document_hidden(ranks), full[0].hidden) <= tolerance);
        for (std::size_t layer = 0; layer < 4; ++layer) {
          const auto cache = document_cache(ranks, layer);
          CHECK(compare(cache.key, full[0].cache.layers[layer].key) <= tolerance);
          CHECK(compare(cache.value, full[0].cache.layers[layer].value) <= tolerance);
        }
      }
    }
  }
}

TEST_CASE("full prefill on several ranks: rank 0 computes, the others hold nothing", "[prefill]") {
  const auto weights = toy_weights<double>(8);
  const auto ranks =
      prefill_ranks(make_model_case(Method::kFull, lengths(20, 3), weights, 9), weights);
  const auto alone =
      prefill_ranks(make_model_case(Method::kFull, lengths(20, 1), weights, 9), weights);
  CHECK(bit_equal(ranks[0].hidden, alone[0].hidden));
  for (const std::size_t rank : {1U, 2U}) {
    CHECK(ranks[rank].hidden.rows() == 0);
    CHECK(ranks[rank].cache.layers.size() == 4);
    CHECK(ranks[rank].cache.layers[3].key.rows() == 0);
    CHECK(ranks[rank].counters == std::vector<Counters>(4));
  }
}

TEST_CASE("prefill: counters of every layer, kept rows, progress", "[prefill]") {
  const auto weights = toy_weights<float>(10);
  ApbConfig config = lengths(50, 4);
  config.block_lens = {20, 0, 17, 13};
  config.anchor_len = 6;
  config.embedded_query_len = 3;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = 5;
  const ModelCase work = make_model_case(Method::kApb, config, weights, 11);
  const BlockLayout layout = make_block_layout(work.config);
  std::vector<std::vector<Index>> progress(4);
  const auto ranks = on_local_ranks(4, [&](Communicator& communicator) {
    auto& steps = progress[static_cast<std::size_t>(communicator.rank())];
    return prefill<float>(work.method, {work.config, layout, communicator}, weights, work.document,
                          work.embedded_query, [&](Index done) { steps.push_back(done); });
  });
  for (std::size_t r = 0; r < 4; ++r) {
    CAPTURE(r);
    const RankLayout& own = layout.ranks[r];
    CHECK(progress[r] == std::vector<Index>{1, 2, 3, 4});
    CHECK(ranks[r].hidden.rows() == own.block_len);
    REQUIRE(ranks[r].counters.size() == 4);
    REQUIRE(ranks[r].selections.size() == 4);
    // Products: q and o 96 x 96, k and v 96 x 32, three of 96 x 256.
    const std::int64_t projection = 2 * own.rows() * 96 * (2 * 96 + 2 * 32 + 3 * 256);
    const std::int64_t pairs = own.anchor_rows * (own.anchor_rows + 1) / 2 +
                               own.block_len * (own.anchor_rows + own.passing_rows) +
                               own.block_len * (own.block_len + 1) / 2;
    const std::int64_t entry_bytes = 2 * 2 * 16 * 4;  // key and value, 2 KV heads of 16 floats
    const std::int64_t all_kept = 5 + 0 + 5 + 5;
    const std::int64_t query_bytes = 3 * 6 * 16 * 4;
    const Counters expected{
        .rows_computed = own.rows(),
        .attention_flop = 4 * 16 * 6 * pairs,
        .projection_flop = projection,
        .compressor_flop = 2 * own.block_len * 2 * 16,
        .bytes_received = (all_kept - own.num_kept) * entry_bytes + (r == 0 ? query_bytes : 0),
        .bytes_sent = 3 * own.num_kept * entry_bytes + (r == 1 ? query_bytes : 0)};
    for (std::size_t layer = 0; layer < 4; ++layer) {
      CHECK(ranks[r].counters[layer] == expected);
      CHECK(ranks[r].cache.layers[layer].key.rows() == own.block_len);
      CHECK(ranks[r].cache.layers[layer].value.rows() == own.block_len);
      for (const auto& kept : ranks[r].selections[layer].kept_positions) {
        CHECK(std::ssize(kept) == own.num_kept);
      }
    }
  }
}

TEST_CASE("truncate drops the rows behind", "[prefill]") {
  const auto weights = toy_weights<double>(12);
  const auto ranks =
      prefill_ranks(make_model_case(Method::kFull, lengths(9, 1), weights, 13), weights);
  KvCache<double> cache = ranks[0].cache;
  cache.truncate(4);
  for (std::size_t layer = 0; layer < 4; ++layer) {
    const auto& whole = ranks[0].cache.layers[layer];
    HeadsTensor<double> first(0, 2, 16);
    first.append(whole.key.view().slice(0, 4));
    CHECK(bit_equal(cache.layers[layer].key, first));
    CHECK(cache.layers[layer].value.rows() == 4);
  }
}

}  // namespace
}  // namespace apb
