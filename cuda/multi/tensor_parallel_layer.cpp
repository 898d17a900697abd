#include "cuda/multi/tensor_parallel_layer.hpp"

#include <algorithm>
#include <numeric>

#include "cuda/layer/layer_steps.hpp"
#include "cuda/multi/copy_columns.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

std::vector<Index> all_positions(Index doc_len) {
  std::vector<Index> positions(static_cast<std::size_t>(doc_len));
  std::iota(positions.begin(), positions.end(), Index{0});
  return positions;
}

/// Copies pieces of a matrix [rows, columns] of the whole model into one of a part.
class MatrixPart {
 public:
  MatrixPart(Index rows, Index columns, cudaStream_t stream)
      : rows_(rows),
        columns_(columns),
        stream_(stream),
        values_(static_cast<std::size_t>(rows * columns)) {}

  /// Enqueues: the next rows are these.
  MatrixPart& add(const DeviceRows<const Bfloat16>& piece) {
    copy_columns<Bfloat16>(
        piece,
        DeviceRows<Bfloat16>::dense(values_.data(), rows_, columns_).slice(next_, piece.rows),
        stream_);
    next_ += piece.rows;
    return *this;
  }
  [[nodiscard]] DeviceBuffer<Bfloat16> take() { return std::move(values_); }

 private:
  Index rows_, columns_, next_ = 0;
  cudaStream_t stream_;
  DeviceBuffer<Bfloat16> values_;
};

}  // namespace

DeviceModel<Bfloat16> tensor_parallel_part(const DeviceModel<Bfloat16>& whole, int rank,
                                           int num_ranks, cudaStream_t stream) {
  const ModelShape& all = whole.shape;
  if (all.num_kv_heads % num_ranks != 0 || all.intermediate_size % num_ranks != 0) {
    throw BadInput("tensor_parallel", "ranks", num_ranks,
                   fmt::format("a divisor of the {} KV heads and the {} feed-forward columns",
                               all.num_kv_heads, all.intermediate_size));
  }
  DeviceModel<Bfloat16> part;
  part.shape = all;
  part.shape.num_q_heads /= num_ranks;
  part.shape.num_kv_heads /= num_ranks;
  part.shape.intermediate_size /= num_ranks;
  const Index hidden = all.hidden_size, d = all.head_dim;
  const Index q = part.shape.num_q_heads * d, kv = part.shape.num_kv_heads * d;
  const Index ffn = part.shape.intermediate_size;
  using Rows = DeviceRows<const Bfloat16>;
  const auto norm = [&](const DeviceBuffer<Bfloat16>& weights) {
    return MatrixPart(1, hidden, stream).add(Rows::dense(weights.data(), 1, hidden)).take();
  };
  for (const DeviceLayer<Bfloat16>& layer : whole.layers) {
    if (layer.qkv_bias.size() > 0) {
      throw BadInput("tensor_parallel", "model", all.name, "one without biases");
    }
    const auto qkv = Rows::dense(layer.qkv.data(), whole.qkv_columns(), hidden);
    const auto gate_up = Rows::dense(layer.gate_up.data(), 2 * all.intermediate_size, hidden);
    const auto output = Rows::dense(layer.output.data(), hidden, all.num_q_heads * d);
    const auto down = Rows::dense(layer.down.data(), hidden, all.intermediate_size);
    part.layers.push_back(
        {.attention_norm = norm(layer.attention_norm),
         .qkv = MatrixPart(q + 2 * kv, hidden, stream)
                    .add(qkv.slice(rank * q, q))
                    .add(qkv.slice(all.num_q_heads * d + rank * kv, kv))
                    .add(qkv.slice((all.num_q_heads + all.num_kv_heads) * d + rank * kv, kv))
                    .take(),
         .qkv_bias = {},
         .output = MatrixPart(hidden, q, stream).add(output.part(rank * q, q)).take(),
         .ffn_norm = norm(layer.ffn_norm),
         .gate_up = MatrixPart(2 * ffn, hidden, stream)
                        .add(gate_up.slice(rank * ffn, ffn))
                        .add(gate_up.slice(all.intermediate_size + rank * ffn, ffn))
                        .take(),
         .down = MatrixPart(hidden, ffn, stream).add(down.part(rank * ffn, ffn)).take(),
         .retaining_fc1 = {},
         .retaining_fc2 = {}});
  }
  return part;
}

TensorParallelLayer::TensorParallelLayer(const DeviceModel<Bfloat16>& part, Index doc_len,
                                         Partners& partners)
    : DocumentLayer(part, all_positions(doc_len), partners) {}

void TensorParallelLayer::sum_over_ranks(cudaStream_t stream) {
  partners().all_reduce(room().hidden.data(), room().hidden.size(), stream);
}

void TensorParallelLayer::exchange(cudaStream_t stream) {
  sum_over_ranks(stream);
  sum_over_ranks(stream);
}

void TensorParallelLayer::attend_rows(const OnPart& done) {
  const QueryRows<Bfloat16> rows{room().query(), room().out(), room().lse.data()};
  const KeysAndValues<Bfloat16> keys{room().key(), room().value()};
  attend<Bfloat16>({.anchor_rows = {rows.query.slice(0, 0), rows.out.slice(0, 0), rows.lse},
                    .block_rows = rows,
                    .anchor = {keys.key.slice(0, 0), keys.value.slice(0, 0)},
                    .block = keys,
                    .passing = {},
                    .softmax_scale = softmax_scale()},
                   stream());
  done(LayerPart::kAttention);
}

// All ranks hold the same residual stream. It may count only once in the sums: rank 0 adds its part
// to it, the others put theirs in its place.
void TensorParallelLayer::finish(const OnPart& done) {
  const DeviceLayer<Bfloat16>& w = model().layers.front();
  const auto attention_out = DeviceRows<const Bfloat16>::dense(
      room().attention_out.data(), room().rows, room().num_q_heads * room().head_dim);
  products().enqueue<Bfloat16, Bfloat16>(
      {attention_out, w.output.data(), room().hidden_rows(), nullptr, partners().rank() == 0},
      stream());
  done(LayerPart::kOutput);
  sum_over_ranks(stream());
  done(LayerPart::kCommunication);
  rms_norm<Bfloat16>(room().hidden_rows(), w.ffn_norm.data(), model().shape.rms_norm_eps,
                     room().normed_rows(), stream());
  done(LayerPart::kNorms);
  feed_forward(done);
  sum_over_ranks(stream());
  done(LayerPart::kCommunication);
}

void TensorParallelLayer::feed_forward(const OnPart& done) {
  const DeviceLayer<Bfloat16>& w = model().layers.front();
  const Index columns = room().intermediate_size;
  const Index at_a_time = static_cast<Index>(room().gate_up.size()) / (2 * columns);
  for (Index begin = 0; begin < room().rows; begin += at_a_time) {
    const Index rows = std::min(at_a_time, room().rows - begin);
    const auto gate_up = DeviceRows<Bfloat16>::dense(room().gate_up.data(), rows, 2 * columns);
    const DeviceRows<Bfloat16> gate = gate_up.part(0, columns), up = gate_up.part(columns, columns);
    products().enqueue<Bfloat16, Bfloat16>(
        {room().normed_rows().slice(begin, rows), w.gate_up.data(), gate_up, nullptr, false},
        stream());
    done(LayerPart::kFeedForward);
    swiglu<Bfloat16>(gate, up, gate, stream());
    done(LayerPart::kActivation);
    products().enqueue<Bfloat16, Bfloat16>(
        {gate, w.down.data(), room().hidden_rows().slice(begin, rows), nullptr,
         partners().rank() == 0},
        stream());
    done(LayerPart::kFeedForward);
  }
}

}  // namespace apb::cuda
