// Closed forms of work against the real counters of attention layers and of whole prefills.

#include "reference/core/plans/layer_work.hpp"
#include "reference/core/weights/toy_model.hpp"

#include "reference/attention/visibility.hpp"
#include "reference/core/error.hpp"
#include "reference/model/prefill.hpp"
#include "tests/methods/attention_system.hpp"
#include "tests/model/model_system.hpp"
#include "tests/support/adapted_config.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/local_ranks.hpp"

namespace apb {
namespace {

/// Compares one attention layer of every method on every rank.
template <class Scalar>
void check_layer(const ApbConfig& given, RandomTensors& random) {
  const auto tokens = random_tokens<Scalar>(given, random);
  for (const MethodEntry& entry : kMethodList) {
    const Method method = entry.method;
    const ApbConfig fitting = adapted_to(method, given);
    CAPTURE(to_string(method), given.doc_len, given.num_ranks, given.block_lens, given.anchor_len,
            to_string(given.anchor_convention), given.embedded_query_len, given.num_kept,
            to_string(given.compressor));
    const auto runs = run_layer(method, fitting, tokens);
    const auto work = method_work(method, method_config(method, fitting), sizeof(Scalar));
    REQUIRE(work.size() == runs.size());
    for (std::size_t rank = 0; rank < runs.size(); ++rank) {
      CAPTURE(rank);
      Counters counted = runs[rank].counters;
      counted.rows_computed = runs[rank].layout.rows();
      CHECK(work[rank] == counted);
    }
  }
}

/// (row, key) pairs of a rank, one by one.
Index count_pairs(const RankLayout& layout) {
  Index pairs = 0;
  const auto count = [&](Segment query, Index rows, Segment key, Index keys) {
    for (Index row = 0; row < rows; ++row) {
      for (Index k = 0; k < keys; ++k) pairs += is_visible(query, row, key, k) ? 1 : 0;
    }
  };
  for (const auto& [segment, rows] : {std::pair{Segment::kAnchor, layout.anchor_rows},
                                      std::pair{Segment::kBlock, layout.block_len}}) {
    count(segment, rows, Segment::kAnchor, layout.anchor_rows);
    count(segment, rows, Segment::kPassing, layout.passing_rows);
    count(segment, rows, Segment::kBlock, layout.block_len);
  }
  return pairs;
}

/// Counters of all layers of a prefill of the toy model, per rank.
std::vector<std::vector<Counters>> prefill_counters(Method method, const ApbConfig& config,
                                                    const ModelWeights<float>& weights) {
  RandomTensors random(74);
  const auto document = random.tokens(config.doc_len, 256);
  const auto query = random.tokens(config.embedded_query_len, 256);
  const BlockLayout layout = method_layout(method, config);
  return on_local_ranks(config.num_ranks, [&](Communicator& communicator) {
    const RankContext context{config, layout, communicator};
    return prefill(method, context, weights, document, query, [](Index) {}).counters;
  });
}

/// 30 tokens on 4 ranks, all of the method's machinery in use.
ApbConfig busy_config(const std::vector<Index>& block_lens, AnchorConvention convention) {
  ApbConfig config = small_config(30, 4);
  config.block_lens = block_lens;
  config.anchor_convention = convention;
  config.anchor_len = 5;
  config.query_len = config.embedded_query_len = 3;
  config.query_insert_at = convention == AnchorConvention::kOfficial ? 1 : 0;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = 4;
  return config;
}

const std::vector<std::vector<Index>> kBlocks{
    {},               // equal: 8, 8, 8, 6
    {12, 9, 7, 2},    // uneven
    {6, 0, 24, 0},    // empty ones in the middle and at the end
    {30, 0, 0, 0},    // all on one rank
    {5, 10, 10, 5}};  // rank 0 holds nothing but the anchor

TEMPLATE_TEST_CASE("work equals the counters of a layer: chosen blocks", "[work]", float, double) {
  RandomTensors random(71);
  for (const auto convention : {AnchorConvention::kPaper, AnchorConvention::kOfficial}) {
    for (const auto& block_lens : kBlocks) {
      for (const auto compressor :
           {Compressor::kQueryAware, Compressor::kRandom, Compressor::kRecent}) {
        ApbConfig config = busy_config(block_lens, convention);
        config.compressor = compressor;
        check_layer<TestType>(config, random);
        config.num_kept = 0;
        check_layer<TestType>(config, random);
      }
    }
  }
}

TEMPLATE_TEST_CASE("work equals the counters of a layer: random", "[work]", float, double) {
  RandomTensors random(72);
  for (int round = 0; round < 100; ++round) check_layer<TestType>(random_config(random), random);
}

TEST_CASE("work equals the counters of a prefill, projections included", "[work]") {
  const auto weights = toy_weights<float>(73);
  const LayerSizes sizes{weights.shape.hidden_size, weights.shape.intermediate_size};
  for (const auto convention : {AnchorConvention::kPaper, AnchorConvention::kOfficial}) {
    for (const auto& block_lens : kBlocks) {
      ApbConfig given = busy_config(block_lens, convention);
      set_model_shape(given, weights.shape);
      for (const MethodEntry& entry : kMethodList) {
        const Method method = entry.method;
        const ApbConfig config = method_config(method, adapted_to(method, given));
        const auto work = method_work(method, config, sizeof(float), sizes);
        const auto counted = prefill_counters(method, config, weights);
        for (std::size_t rank = 0; rank < counted.size(); ++rank) {
          CAPTURE(to_string(method), block_lens, rank);
          CHECK(counted[rank] == std::vector<Counters>(counted[rank].size(), work[rank]));
        }
      }
    }
  }
}

TEST_CASE("work equals the counters of a prefill with retaining heads", "[work]") {
  auto weights = toy_weights<float>(76);
  const ModelShape& model = weights.shape;
  for (const Index hidden_size : {0, 20}) {
    weights.retaining_heads = random_retaining_heads<float>(model, hidden_size, 77);
    for (const auto& block_lens : kBlocks) {
      ApbConfig given = busy_config(block_lens, AnchorConvention::kPaper);
      given.compressor = Compressor::kRetainingHead;
      set_model_shape(given, model);
      for (const MethodEntry& entry : kMethodList) {
        if (!entry.block_form) continue;
        const Method method = entry.method;
        CAPTURE(to_string(method), block_lens, hidden_size);
        const ApbConfig config = method_config(method, given);
        const auto work = layer_work(config, sizeof(float),
                                     {model.hidden_size, model.intermediate_size, hidden_size});
        const auto counted = prefill_counters(method, config, weights);
        const BlockLayout layout = make_block_layout(config);
        for (std::size_t rank = 0; rank < counted.size(); ++rank) {
          CHECK(counted[rank] == std::vector<Counters>(counted[rank].size(), work[rank]));
          if (method != Method::kApb) continue;
          // 6 query and 2 KV heads of 16: 160 inputs; block rows only.
          const Index per_row = hidden_size == 0 ? 160 * 2 : 160 * 20 + 20 * 2;
          CHECK(work[rank].compressor_flop == 2 * layout.ranks[rank].block_len * per_row);
        }
      }
    }
  }
}

TEST_CASE("visible pairs equal a count with is_visible", "[work]") {
  RandomTensors random(75);
  for (int round = 0; round < 200; ++round) {
    const BlockLayout layout = make_block_layout(random_config(random));
    for (const RankLayout& rank : layout.ranks) CHECK(visible_pairs(rank) == count_pairs(rank));
  }
}

TEST_CASE("work of the paper's 128K setting", "[work]") {
  // Llama-3.1-8B: 32 query and 8 KV heads of 128, hidden 4096, feed-forward 14336; bfloat16.
  ApbConfig config;
  config.doc_len = 131072;
  config.num_ranks = 8;
  config.anchor_len = 4096;
  config.compressor = Compressor::kRandom;
  config.num_kept = 2048;
  config.num_q_heads = 32;
  config.num_kv_heads = 8;
  config.head_dim = 128;
  const auto work = layer_work(config, 2, {4096, 14336});
  CHECK(work[7].rows_computed == 20480);
  // 7 ranks pass 2048 keys and values of 8 heads of 128 elements (58.7 MB).
  CHECK(work[7].bytes_received == Index{7} * 2048 * 2 * 8 * 128 * 2);
  // Per row 4 d^2 + 4 d^2 / g + 6 d I, group size g = 4.
  CHECK(work[7].projection_flop == Index{20480} * (5 * 4096 * 4096 + 6 * 4096 * Index{14336}));
  // 20480 causal rows of [anchor, block], and 16384 rows that see 7 * 2048 passed keys.
  CHECK(work[7].attention_flop ==
        Index{4} * 128 * 32 * (Index{20480} * 20481 / 2 + Index{16384} * 7 * 2048));
}

TEST_CASE("work that does not fit its counters is refused", "[work]") {
  ApbConfig config;
  config.doc_len = Index{1} << 30;
  config.num_q_heads = 1024;
  config.num_kv_heads = 1024;
  config.head_dim = 4096;
  CHECK_THROWS_AS(layer_work(config, 2), BadInput);
  config.num_q_heads = config.num_kv_heads = config.head_dim = 1;
  CHECK(layer_work(config, 2)[0].attention_flop == 4 * ((Index{1} << 59) + (Index{1} << 29)));
  CHECK_THROWS_AS(layer_work(config, 2, {Index{1} << 31, 0}), BadInput);
}

}  // namespace
}  // namespace apb
