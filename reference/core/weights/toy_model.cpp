#include "reference/core/weights/toy_model.hpp"

#include <cmath>
#include <random>

namespace apb {

ModelShape toy_shape() {
  return {.name = "toy (seeded random weights, byte tokens)",
          .num_layers = 4,
          .hidden_size = 96,
          .intermediate_size = 256,
          .num_q_heads = 6,
          .num_kv_heads = 2,
          .head_dim = 16,
          .vocab_size = 256,
          .context_len = 8192,
          .rope_theta = 1e4,
          .rms_norm_eps = 1e-5};
}

template <class Scalar>
ModelWeights<Scalar> toy_weights(std::uint64_t seed) {
  ModelWeights<Scalar> weights;
  weights.shape = toy_shape();
  const ModelShape& c = weights.shape;
  const Index q_size = c.num_q_heads * c.head_dim;
  const Index kv_size = c.num_kv_heads * c.head_dim;

  // Sums of raw generator outputs, because std::normal_distribution differs between libraries.
  std::mt19937_64 generator(seed);
  const auto uniform = [&] { return static_cast<double>(generator() >> 11U) * 0x1.0p-53 - 0.5; };
  const auto random = [&](Index outputs, Index inputs) {
    const double scale = std::sqrt(12.0 / static_cast<double>(inputs));  // variance 1 / inputs
    return Matrix<Scalar>::NullaryExpr(outputs, inputs,
                                       [&] { return static_cast<Scalar>(scale * uniform()); })
        .eval();
  };
  const Matrix<Scalar> ones = Matrix<Scalar>::Ones(1, c.hidden_size);

  weights.embedding = random(c.vocab_size, c.hidden_size);
  weights.final_norm = ones;
  for (Index layer = 0; layer < c.num_layers; ++layer) {
    LayerWeights<Scalar> w;
    w.attention_norm = ones;
    w.query = random(q_size, c.hidden_size);
    w.key = random(kv_size, c.hidden_size);
    w.value = random(kv_size, c.hidden_size);
    w.output = random(c.hidden_size, q_size);
    w.ffn_norm = ones;
    w.gate = random(c.intermediate_size, c.hidden_size);
    w.up = random(c.intermediate_size, c.hidden_size);
    w.down = random(c.hidden_size, c.intermediate_size);
    weights.layers.push_back(std::move(w));
  }
  return weights;
}

template ModelWeights<float> toy_weights(std::uint64_t);
template ModelWeights<double> toy_weights(std::uint64_t);

}  // namespace apb
