#pragma once
/// \file
/// The toy model prefilled on local ranks, and how exactly its results must agree.

#include <limits>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/core/weights/model_weights.hpp"
#include "reference/model/prefill.hpp"
#include "tests/support/local_ranks.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {

/// Rounding that the toy model may gather. Each of its 4 layers passes a hidden state of size
/// `magnitude` through three products of up to 256 terms, norms and a softmax, and each may add
/// eps times its number of terms, at the worst.
template <class Scalar>
[[nodiscard]] double model_tolerance(double magnitude) {
  constexpr double kLayers = 4;
  constexpr double kProducts = 3;
  constexpr double kTerms = 256;
  return static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * kLayers * kProducts *
         kTerms * magnitude;
}

/// Random retaining heads for a model. \param hidden_size 0: linear heads
template <class Scalar>
[[nodiscard]] std::vector<RetainingHead<Scalar>> random_retaining_heads(const ModelShape& model,
                                                                        Index hidden_size,
                                                                        std::uint64_t seed) {
  RandomTensors random(seed);
  const Index inputs = (model.num_q_heads + 2 * model.num_kv_heads) * model.head_dim;
  std::vector<RetainingHead<Scalar>> heads;
  for (Index layer = 0; layer < model.num_layers; ++layer) {
    auto& [fc1, fc2] = heads.emplace_back();
    fc1 = random.matrix<Scalar>(hidden_size == 0 ? model.num_kv_heads : hidden_size, inputs);
    if (hidden_size > 0) fc2 = random.matrix<Scalar>(model.num_kv_heads, hidden_size);
  }
  return heads;
}

/// Gives every layer random biases of query, key and value.
template <class Scalar>
void add_random_biases(ModelWeights<Scalar>& weights, std::uint64_t seed) {
  RandomTensors random(seed);
  for (auto& layer : weights.layers) {
    layer.query_bias = random.matrix<Scalar>(1, layer.query.rows());
    layer.key_bias = random.matrix<Scalar>(1, layer.key.rows());
    layer.value_bias = random.matrix<Scalar>(1, layer.value.rows());
  }
}

/// A document of random tokens laid out for the toy model.
struct ModelCase {
  Method method = Method::kFull;
  ApbConfig config;  ///< already adapted to the method
  std::vector<int> document;
  std::vector<int> embedded_query;
};

/// \param config lengths, ranks, blocks, anchor, selection; heads and method details are set here
template <class Scalar>
[[nodiscard]] ModelCase make_model_case(Method method, ApbConfig config,
                                        const ModelWeights<Scalar>& weights, std::uint64_t seed) {
  RandomTensors random(seed);
  const auto vocab_size = static_cast<int>(weights.shape.vocab_size);
  std::vector<int> document = random.tokens(config.doc_len, vocab_size);
  std::vector<int> query = random.tokens(config.embedded_query_len, vocab_size);
  set_model_shape(config, weights.shape);
  return {method, method_config(method, config), std::move(document), std::move(query)};
}

/// Who holds what.
[[nodiscard]] inline BlockLayout layout_of(const ModelCase& work) {
  return method_layout(work.method, work.config);
}

/// This rank's prefill.
template <class Scalar>
[[nodiscard]] PrefillResult<Scalar> prefill_rank(const ModelCase& work,
                                                 const ModelWeights<Scalar>& weights,
                                                 Communicator& communicator) {
  const BlockLayout layout = layout_of(work);
  return prefill<Scalar>(work.method, {work.config, layout, communicator}, weights, work.document,
                         work.embedded_query, [](Index) {});
}

/// Every rank's prefill.
template <class Scalar>
[[nodiscard]] std::vector<PrefillResult<Scalar>> prefill_ranks(
    const ModelCase& work, const ModelWeights<Scalar>& weights) {
  return on_local_ranks(work.config.num_ranks, [&](Communicator& communicator) {
    return prefill_rank(work, weights, communicator);
  });
}

/// Hidden states of all document tokens.
template <class Scalar>
[[nodiscard]] Matrix<Scalar> document_hidden(const std::vector<PrefillResult<Scalar>>& ranks) {
  Matrix<Scalar> hidden(0, ranks.front().hidden.cols());
  for (const auto& rank : ranks) {
    hidden.conservativeResize(hidden.rows() + rank.hidden.rows(), Eigen::NoChange);
    hidden.bottomRows(rank.hidden.rows()) = rank.hidden;
  }
  return hidden;
}

/// Cached keys and values of all document tokens in one layer.
template <class Scalar>
[[nodiscard]] LayerCache<Scalar> document_cache(const std::vector<PrefillResult<Scalar>>& ranks,
                                                std::size_t layer) {
  const LayerCache<Scalar>& first = ranks.front().cache.layers[layer];
  LayerCache<Scalar> all{{0, first.key.heads(), first.key.head_dim()},
                         {0, first.value.heads(), first.value.head_dim()}};
  for (const auto& rank : ranks) {
    all.key.append(rank.cache.layers[layer].key.view());
    all.value.append(rank.cache.layers[layer].value.view());
  }
  return all;
}

}  // namespace apb
