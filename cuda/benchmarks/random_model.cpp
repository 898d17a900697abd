#include "cuda/benchmarks/random_model.hpp"

#include <cmath>

#include "cuda/benchmarks/random_values.hpp"

namespace apb::cuda {

DeviceModel<Bfloat16> random_model(const ModelShape& shape, Index num_layers,
                                   Index retaining_hidden, std::uint64_t seed,
                                   cudaStream_t stream) {
  DeviceModel<Bfloat16> model;
  model.shape = shape;
  const auto random = [&](Index rows, Index columns) {
    DeviceBuffer<Bfloat16> buffer(static_cast<std::size_t>(rows * columns));
    const double deviation = rows == 1 ? 1 : 1 / std::sqrt(static_cast<double>(columns));
    fill_normal(buffer.data(), rows * columns, deviation, seed++, stream);
    return buffer;
  };
  const Index hidden = shape.hidden_size, queries = shape.num_q_heads * shape.head_dim;
  for (Index layer = 0; layer < num_layers; ++layer) {
    model.layers.push_back({.attention_norm = random(1, hidden),
                            .qkv = random(model.qkv_columns(), hidden),
                            .qkv_bias = {},
                            .output = random(hidden, queries),
                            .ffn_norm = random(1, hidden),
                            .gate_up = random(2 * shape.intermediate_size, hidden),
                            .down = random(hidden, shape.intermediate_size),
                            .retaining_fc1 = {},
                            .retaining_fc2 = {}});
    if (retaining_hidden == 0) continue;
    model.layers.back().retaining_fc1 = random(retaining_hidden, model.qkv_columns());
    model.layers.back().retaining_fc2 = random(shape.num_kv_heads, retaining_hidden);
  }
  model.retaining_hidden = retaining_hidden;
  return model;
}

}  // namespace apb::cuda
