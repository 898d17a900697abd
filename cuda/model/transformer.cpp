#include "cuda/model/transformer.hpp"

#include <algorithm>

#include "cuda/layer/layer_steps.hpp"
#include "cuda/model/gather_rows.hpp"
#include "reference/core/error.hpp"
#include "reference/core/weights/rope.hpp"

namespace apb::cuda {
namespace {

/// Rows whose feed-forward activations, the widest of the model, are held at a time.
constexpr Index kFeedForwardRows = 8192;

std::size_t size(Index rows, Index columns) {
  return static_cast<std::size_t>(rows * columns);
}

void done(const OnPart& on_part, LayerPart part) {
  if (on_part) on_part(part);
}

}  // namespace

template <class T>
LayerRoom<T>::LayerRoom(const ModelShape& shape, std::span<const Index> positions,
                        cudaStream_t stream)
    : rows(std::ssize(positions)),
      num_q_heads(shape.num_q_heads),
      num_kv_heads(shape.num_kv_heads),
      head_dim(shape.head_dim),
      hidden_size(shape.hidden_size),
      intermediate_size(shape.intermediate_size),
      hidden(size(rows, hidden_size)),
      normed(size(rows, hidden_size)),
      qkv(size(rows, (num_q_heads + 2 * num_kv_heads) * head_dim)),
      attention_out(size(rows, num_q_heads * head_dim)),
      lse(size(rows, num_q_heads)),
      gate_up(size(std::min(rows, kFeedForwardRows), 2 * intermediate_size)) {
  const RopeTable<float> table = rope_table<float>(positions, shape);
  std::vector<float> cosines, sines;
  cosines.reserve(size(rows, head_dim / 2));
  sines.reserve(size(rows, head_dim / 2));
  for (Index row = 0; row < rows; ++row) {
    for (Index pair = 0; pair < head_dim / 2; ++pair) {
      cosines.push_back(table.cosine(row, pair));
      sines.push_back(table.sine(row, pair));
    }
  }
  cosine = to_device(cosines, stream);
  sine = to_device(sines, stream);
}

template <class T>
DeviceRows<T> LayerRoom<T>::hidden_rows() const {
  return DeviceRows<T>::dense(hidden.data(), rows, hidden_size);
}
template <class T>
DeviceRows<T> LayerRoom<T>::normed_rows() const {
  return DeviceRows<T>::dense(normed.data(), rows, hidden_size);
}
template <class T>
DeviceRows<T> LayerRoom<T>::qkv_rows() const {
  return DeviceRows<T>::dense(qkv.data(), rows, (num_q_heads + 2 * num_kv_heads) * head_dim);
}
template <class T>
DeviceHeads<T> LayerRoom<T>::query() const {
  return {qkv.data(), rows, num_q_heads, head_dim, qkv_rows().row_stride, head_dim};
}
template <class T>
DeviceHeads<T> LayerRoom<T>::key() const {
  return {qkv.data() + num_q_heads * head_dim,
          rows,
          num_kv_heads,
          head_dim,
          qkv_rows().row_stride,
          head_dim};
}
template <class T>
DeviceHeads<T> LayerRoom<T>::value() const {
  return {qkv.data() + (num_q_heads + num_kv_heads) * head_dim,
          rows,
          num_kv_heads,
          head_dim,
          qkv_rows().row_stride,
          head_dim};
}
template <class T>
DeviceHeads<T> LayerRoom<T>::out() const {
  return DeviceHeads<T>::rows_first(attention_out.data(), rows, num_q_heads, head_dim);
}

template <class T>
void embed(const DeviceModel<T>& model, std::span<const int> tokens, const LayerRoom<T>& room,
           cudaStream_t stream) {
  std::vector<Index> rows;
  for (const int token : tokens) {
    if (token < 0 || token >= model.shape.vocab_size) {
      throw BadInput("tokens", fmt::format("token {}", rows.size()), token,
                     fmt::format("between 0 and {}", model.shape.vocab_size - 1));
    }
    rows.push_back(token);
  }
  gather_rows<T>(DeviceRows<const T>::dense(model.embedding.data(), model.shape.vocab_size,
                                            model.shape.hidden_size),
                 rows, room.hidden_rows(), stream);
}

template <class T>
void project_qkv(const DeviceModel<T>& model, Index layer, const LayerRoom<T>& room,
                 MatrixProducts& products, cudaStream_t stream, const OnPart& on_part) {
  const DeviceLayer<T>& w = model.layers[static_cast<std::size_t>(layer)];
  rms_norm<T>(room.hidden_rows(), w.attention_norm.data(), model.shape.rms_norm_eps,
              room.normed_rows(), stream);
  done(on_part, LayerPart::kNorms);
  products.enqueue<T, T>(
      {room.normed_rows(), w.qkv.data(), room.qkv_rows(), w.qkv_bias.data(), false}, stream);
  done(on_part, LayerPart::kQkv);
}

template <class T>
void rotate(const LayerRoom<T>& room, cudaStream_t stream) {
  apply_rope(room.query(), room.cosine.data(), room.sine.data(), stream);
  apply_rope(room.key(), room.cosine.data(), room.sine.data(), stream);
}

template <class T>
void finish_layer(const DeviceModel<T>& model, Index layer, const LayerRoom<T>& room,
                  MatrixProducts& products, cudaStream_t stream, const OnPart& on_part) {
  const DeviceLayer<T>& w = model.layers[static_cast<std::size_t>(layer)];
  const auto attention_out = DeviceRows<const T>::dense(room.attention_out.data(), room.rows,
                                                        room.num_q_heads * room.head_dim);
  products.enqueue<T, T>({attention_out, w.output.data(), room.hidden_rows(), nullptr, true},
                         stream);
  done(on_part, LayerPart::kOutput);

  rms_norm<T>(room.hidden_rows(), w.ffn_norm.data(), model.shape.rms_norm_eps, room.normed_rows(),
              stream);
  done(on_part, LayerPart::kNorms);
  for (Index begin = 0; begin < room.rows; begin += kFeedForwardRows) {
    const Index rows = std::min(kFeedForwardRows, room.rows - begin);
    const auto gate_up =
        DeviceRows<T>::dense(room.gate_up.data(), rows, 2 * room.intermediate_size);
    const DeviceRows<T> gate = gate_up.part(0, room.intermediate_size);
    const DeviceRows<T> up = gate_up.part(room.intermediate_size, room.intermediate_size);
    products.enqueue<T, T>(
        {room.normed_rows().slice(begin, rows), w.gate_up.data(), gate_up, nullptr, false}, stream);
    done(on_part, LayerPart::kFeedForward);
    swiglu<T>(gate, up, gate, stream);
    done(on_part, LayerPart::kActivation);
    products.enqueue<T, T>(
        {gate, w.down.data(), room.hidden_rows().slice(begin, rows), nullptr, true}, stream);
    done(on_part, LayerPart::kFeedForward);
  }
}

template <class T>
std::vector<float> logits(const DeviceModel<T>& model, const DeviceRows<const T>& hidden,
                          std::span<const Index> rows, MatrixProducts& products,
                          cudaStream_t stream) {
  const Index count = std::ssize(rows);
  const DeviceBuffer<T> chosen(size(count, hidden.columns));
  const auto chosen_rows = DeviceRows<T>::dense(chosen.data(), count, hidden.columns);
  gather_rows<T>(hidden, rows, chosen_rows, stream);
  rms_norm<T>(chosen_rows, model.final_norm.data(), model.shape.rms_norm_eps, chosen_rows, stream);
  const DeviceBuffer<float> result(size(count, model.shape.vocab_size));
  products.enqueue<T, float>(
      {chosen_rows, model.logits_matrix(),
       DeviceRows<float>::dense(result.data(), count, model.shape.vocab_size), nullptr, false},
      stream);
  return to_host(result, stream);
}

template struct LayerRoom<Bfloat16>;
template void embed(const DeviceModel<Bfloat16>&, std::span<const int>, const LayerRoom<Bfloat16>&,
                    cudaStream_t);
template void project_qkv(const DeviceModel<Bfloat16>&, Index, const LayerRoom<Bfloat16>&,
                          MatrixProducts&, cudaStream_t, const OnPart&);
template void rotate(const LayerRoom<Bfloat16>&, cudaStream_t);
template void finish_layer(const DeviceModel<Bfloat16>&, Index, const LayerRoom<Bfloat16>&,
                           MatrixProducts&, cudaStream_t, const OnPart&);
template std::vector<float> logits(const DeviceModel<Bfloat16>&, const DeviceRows<const Bfloat16>&,
                                   std::span<const Index>, MatrixProducts&, cudaStream_t);
template struct LayerRoom<Float16>;
template void embed(const DeviceModel<Float16>&, std::span<const int>, const LayerRoom<Float16>&,
                    cudaStream_t);
template void project_qkv(const DeviceModel<Float16>&, Index, const LayerRoom<Float16>&,
                          MatrixProducts&, cudaStream_t, const OnPart&);
template void rotate(const LayerRoom<Float16>&, cudaStream_t);
template void finish_layer(const DeviceModel<Float16>&, Index, const LayerRoom<Float16>&,
                           MatrixProducts&, cudaStream_t, const OnPart&);
template std::vector<float> logits(const DeviceModel<Float16>&, const DeviceRows<const Float16>&,
                                   std::span<const Index>, MatrixProducts&, cudaStream_t);

}  // namespace apb::cuda
