#include "cuda/tools/bench/judge_steps.hpp"

#include "cuda/tools/bench/host_copies.hpp"
#include "reference/core/weights/rope.hpp"

namespace apb::cuda {
namespace {

using Rows = DeviceRows<const Bfloat16>;

constexpr Index kSampledRows = 8, kSampledOutputs = 256;

/// Evenly spread rows of a matrix, the first among them.
struct Sample {
  Index count = 0, step = 1;
  [[nodiscard]] static Sample of(Index rows, Index wanted) {
    const Index step = std::max<Index>(1, rows / wanted);
    return {rows / step, step};
  }
  [[nodiscard]] Rows operator()(const Rows& all) const {
    return {all.data, count, all.columns, step * all.row_stride};
  }
};

/// Looks at a layer's buffers between its steps.
class StepJudge {
 public:
  explicit StepJudge(BlockLayer& layer)
      : layer_(layer),
        room_(layer.room()),
        weights_(layer.model().layers.front()),
        chunk_rows_(static_cast<Index>(room_.gate_up.size()) / (2 * room_.intermediate_size)),
        rows_(Sample::of(chunk_rows_, kSampledRows)) {}

  std::vector<JudgedStep> judge() {
    layer_.fill_inputs();
    before_ = hidden();
    project_qkv(layer_.model(), 0, room_, layer_.rank().products, stream(), {});
    const Matrix<double> normed = read(room_.normed_rows());
    take("attention norm", normed,
         true_rms_norm(before_, weight_row(weights_.attention_norm), eps()));
    const Matrix<double> qkv = read(room_.qkv_rows());
    take_product("qkv product", normed, weights_.qkv, qkv, nullptr);
    rotate(room_, stream());
    const Index turned = (room_.num_q_heads + room_.num_kv_heads) * room_.head_dim;
    take("RoPE", read(room_.qkv_rows()).leftCols(turned),
         true_rope(qkv.leftCols(turned), angles()));

    (void)layer_.run([](cudaStream_t /*stream*/) {});  // attention's output, for what follows
    layer_.fill_inputs();
    finish_layer(layer_.model(), 0, room_, layer_.rank().products, stream(),
                 [this](LayerPart part) { look_at(part); });
    take_product("down product", activated_, weights_.down, hidden(), &middle_);
    return std::move(steps_);
  }

 private:
  /// Called after each step of finish_layer; of the feed-forward network's, in its first chunk.
  void look_at(LayerPart part) {
    const Index columns = room_.intermediate_size;
    const auto gate_up =
        DeviceRows<Bfloat16>::dense(room_.gate_up.data(), chunk_rows_, 2 * columns);
    switch (part) {
      case LayerPart::kOutput: {
        middle_ = hidden();
        const Rows attention =
            Rows::dense(room_.attention_out.data(), room_.rows, room_.num_q_heads * room_.head_dim);
        take_product("output product", read(attention), weights_.output, middle_, &before_);
        return;
      }
      case LayerPart::kNorms:
        normed_ = read(room_.normed_rows());
        take("FFN norm", normed_, true_rms_norm(middle_, weight_row(weights_.ffn_norm), eps()));
        return;
      case LayerPart::kFeedForward:
        if (gate_up_.size() > 0) return;
        gate_up_ = read(gate_up);
        take_product("gate and up product", normed_, weights_.gate_up, gate_up_, nullptr);
        return;
      case LayerPart::kActivation:
        if (activated_.size() > 0) return;
        activated_ = read(gate_up.part(0, columns));
        take("SwiGLU", activated_,
             true_swiglu(gate_up_.leftCols(columns), gate_up_.rightCols(columns)));
        return;
      default:
        return;
    }
  }

  void take(const std::string& name, const Matrix<double>& found, const StepTruth& truth) {
    steps_.push_back({name, step_use(found, truth, ValueType::kBfloat16)});
  }

  /// \param there y before the product, if it is added to
  void take_product(const std::string& name, const Matrix<double>& x,
                    const DeviceBuffer<Bfloat16>& w, const Matrix<double>& y,
                    const Matrix<double>* there) {
    const Sample outputs = Sample::of(y.cols(), kSampledOutputs);
    const auto sampled = [&](const Matrix<double>& all) {
      Matrix<double> some(all.rows(), outputs.count);
      for (Index i = 0; i < outputs.count; ++i) some.col(i) = all.col(i * outputs.step);
      return some;
    };
    const Matrix<double> some_w =
        host_matrix<Bfloat16>(outputs(Rows::dense(w.data(), y.cols(), x.cols())), stream());
    const Matrix<double> some_there = there == nullptr ? Matrix<double>() : sampled(*there);
    take(name, sampled(y),
         true_product({.x = x,
                       .w = some_w,
                       .bias = nullptr,
                       .there = there == nullptr ? nullptr : &some_there},
                      ValueType::kBfloat16));
  }

  [[nodiscard]] cudaStream_t stream() const { return layer_.rank().stream.get(); }
  [[nodiscard]] double eps() const { return layer_.model().shape.rms_norm_eps; }
  [[nodiscard]] Matrix<double> read(const Rows& all) const {
    return host_matrix<Bfloat16>(rows_(all), stream());
  }
  [[nodiscard]] Matrix<double> hidden() const { return read(room_.hidden_rows()); }
  [[nodiscard]] Matrix<double> weight_row(const DeviceBuffer<Bfloat16>& weight) const {
    return host_matrix<Bfloat16>(Rows::dense(weight.data(), 1, static_cast<Index>(weight.size())),
                                 stream());
  }

  [[nodiscard]] RopeTable<double> angles() const {
    std::vector<Index> positions;
    for (Index i = 0; i < rows_.count; ++i) {
      positions.push_back(layer_.layout().position(i * rows_.step));
    }
    return rope_table<double>(positions, layer_.model().shape);
  }

  BlockLayer& layer_;
  const LayerRoom<Bfloat16>& room_;
  const DeviceLayer<Bfloat16>& weights_;
  Index chunk_rows_;  ///< that the feed-forward network takes at a time: rows are of the first
  Sample rows_;
  Matrix<double> before_, middle_, normed_, gate_up_, activated_;
  std::vector<JudgedStep> steps_;
};

}  // namespace

std::vector<JudgedStep> judge_steps(BlockLayer& layer) {
  return StepJudge(layer).judge();
}

}  // namespace apb::cuda
