// Prefill with retaining heads: scores come from q, k, v before RoPE, biases included.

#include <stdexcept>

#include "reference/core/weights/toy_model.hpp"
#include "tests/model/model_system.hpp"
#include "tests/model/naive_llama.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"

namespace apb {
namespace {

constexpr Index kRetainingDocLen = 45;

ModelCase three_ranks(const ModelWeights<double>& weights) {
  ApbConfig config;
  config.doc_len = kRetainingDocLen;
  config.num_ranks = 3;
  config.anchor_len = 6;
  config.embedded_query_len = 2;
  config.compressor = Compressor::kRetainingHead;
  config.num_kept = 4;
  config.pool_kernel = 1;
  return make_model_case(Method::kApb, config, weights, 311);
}

/// silu(x) = x / (1 + exp(-x))
double silu(double x) {
  return x / (1.0 + std::exp(-x));
}

/// Layer 0's scores of one document token, straight from the embedding: no RoPE, no ranks.
std::vector<double> naive_scores(const ModelWeights<double>& weights, int token) {
  const auto& layer = weights.layers.front();
  const Matrix<double> normed = naive_rms_norm(Matrix<double>(weights.embedding.row(token)),
                                               layer.attention_norm, weights.shape.rms_norm_eps);
  Matrix<double> features(1, 160);
  features << naive_linear(normed, layer.query) + layer.query_bias,
      naive_linear(normed, layer.key) + layer.key_bias,
      naive_linear(normed, layer.value) + layer.value_bias;
  Matrix<double> hidden = naive_linear(features, weights.retaining_heads.front().fc1);
  hidden = hidden.unaryExpr(&silu).eval();
  const Matrix<double> scores = naive_linear(hidden, weights.retaining_heads.front().fc2);
  return {scores.data(), scores.data() + scores.size()};
}

TEST_CASE("importance of layer 0 is the head's score before RoPE", "[retaining]") {
  auto weights = toy_weights<double>(312);
  add_random_biases(weights, 313);
  weights.retaining_heads = random_retaining_heads<double>(weights.shape, 20, 314);
  const ModelCase work = three_ranks(weights);
  const auto ranks = prefill_ranks(work, weights);
  Index checked = 0;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const Matrix<double>& importance = ranks[rank].selections.front().importance;
    REQUIRE(importance.rows() == 15);
    for (Index row = 0; row < 15; ++row) {
      const Index doc_pos = static_cast<Index>(rank) * 15 + row;
      if (doc_pos < work.config.anchor_len) continue;  // in every anchor: no candidate
      const auto expected = naive_scores(weights, work.document[static_cast<std::size_t>(doc_pos)]);
      for (Index head = 0; head < 2; ++head, ++checked) {
        CAPTURE(doc_pos, head);
        CHECK(std::abs(importance(row, head) - expected[static_cast<std::size_t>(head)]) <= 1e-10);
      }
    }
  }
  CHECK(checked == (kRetainingDocLen - 6) * 2);
}

TEST_CASE("heads decide what is kept; without them prefill refuses", "[retaining]") {
  auto weights = toy_weights<double>(315);
  const ModelCase work = three_ranks(weights);
  CHECK_THROWS_AS(prefill_ranks(work, weights), std::invalid_argument);
  weights.retaining_heads = random_retaining_heads<double>(weights.shape, 20, 316);
  const auto first = prefill_ranks(work, weights);
  for (auto& head : weights.retaining_heads) head.fc2 *= -1.0;
  const auto second = prefill_ranks(work, weights);
  // Negated scores keep the other end: 15 tokens, 4 and 4, so nothing in common.
  const auto& kept = first[1].selections.front().kept_positions;
  const auto& others = second[1].selections.front().kept_positions;
  for (std::size_t head = 0; head < 2; ++head) {
    for (const Index doc_pos : kept[head]) {
      CHECK(std::find(others[head].begin(), others[head].end(), doc_pos) == others[head].end());
    }
  }
  CHECK_FALSE(bit_equal(first[2].hidden, second[2].hidden));
}

TEST_CASE("one rank selects nothing and needs no heads", "[retaining]") {
  const auto weights = toy_weights<double>(317);
  ApbConfig config;
  config.doc_len = 20;
  config.compressor = Compressor::kRetainingHead;
  config.num_kept = 4;
  const auto ranks = prefill_ranks(make_model_case(Method::kApb, config, weights, 318), weights);
  CHECK(ranks.front().counters.front().compressor_flop == 0);
  CHECK(ranks.front().hidden.rows() == 20);
}

}  // namespace
}  // namespace apb
