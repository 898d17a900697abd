#include "cuda/model/device_model.hpp"

#include "reference/core/weights/model_weights.hpp"

namespace apb::cuda {
namespace {

/// Rounds matrices of the same columns into one buffer, one after the other.
template <class T>
DeviceBuffer<T> stacked(std::initializer_list<const Matrix<float>*> matrices, cudaStream_t stream) {
  std::vector<T> values;
  for (const Matrix<float>* matrix : matrices) {
    for (Index i = 0; i < matrix->size(); ++i) values.emplace_back(matrix->data()[i]);
  }
  return to_device(values, stream);
}

}  // namespace

template <class T>
DeviceRetainingHead<T> DeviceModel<T>::retaining_head(Index layer) const {
  const DeviceLayer<T>& its = layers[static_cast<std::size_t>(layer)];
  return {its.retaining_fc1.data(), its.retaining_fc2.data(), qkv_columns(), retaining_hidden,
          shape.num_kv_heads};
}

template <class T>
DeviceModel<T> to_device(const ModelWeights<float>& weights, cudaStream_t stream) {
  DeviceModel<T> model;
  model.shape = weights.shape;
  model.embedding = stacked<T>({&weights.embedding}, stream);
  model.final_norm = stacked<T>({&weights.final_norm}, stream);
  model.head = stacked<T>({&weights.head}, stream);
  for (const LayerWeights<float>& its : weights.layers) {
    model.layers.push_back({
        .attention_norm = stacked<T>({&its.attention_norm}, stream),
        .qkv = stacked<T>({&its.query, &its.key, &its.value}, stream),
        .qkv_bias = stacked<T>({&its.query_bias, &its.key_bias, &its.value_bias}, stream),
        .output = stacked<T>({&its.output}, stream),
        .ffn_norm = stacked<T>({&its.ffn_norm}, stream),
        .gate_up = stacked<T>({&its.gate, &its.up}, stream),
        .down = stacked<T>({&its.down}, stream),
        .retaining_fc1 = {},
        .retaining_fc2 = {},
    });
  }
  for (std::size_t layer = 0; layer < weights.retaining_heads.size(); ++layer) {
    const RetainingHead<float>& head = weights.retaining_heads[layer];
    model.layers[layer].retaining_fc1 = stacked<T>({&head.fc1}, stream);
    model.layers[layer].retaining_fc2 = stacked<T>({&head.fc2}, stream);
    model.retaining_hidden = head.fc2.size() == 0 ? 0 : head.fc1.rows();
  }
  return model;
}

template struct DeviceModel<Bfloat16>;
template struct DeviceModel<Float16>;
template DeviceModel<Bfloat16> to_device(const ModelWeights<float>&, cudaStream_t);
template DeviceModel<Float16> to_device(const ModelWeights<float>&, cudaStream_t);

}  // namespace apb::cuda
