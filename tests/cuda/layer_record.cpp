#include "tests/cuda/layer_record.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "reference/verify/layer_steps.hpp"
#include "tests/cuda/row_budget.hpp"

namespace apb {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// The first rows, the last, and some between.
std::vector<Index> sampled_rows(Index rows) {
  std::vector<Index> sample{0, 1, rows - 1};
  for (Index row = 2; row < rows - 1; row += std::max<Index>(1, rows / 28)) sample.push_back(row);
  return sample;
}

/// Row i of the result is row (rows[i] + shift) of the matrix, round and round.
Matrix<double> picked(const Matrix<double>& matrix, const std::vector<Index>& rows, Index shift) {
  Matrix<double> some(std::ssize(rows), matrix.cols());
  for (Index i = 0; i < some.rows(); ++i) {
    some.row(i) = matrix.row((rows[static_cast<std::size_t>(i)] + shift) % matrix.rows());
  }
  return some;
}

/// Weights as they are on the device, one matrix under the other.
Matrix<double> stacked(std::initializer_list<const Matrix<float>*> matrices, ValueType type) {
  Index rows = 0;
  for (const auto* matrix : matrices) rows += matrix->rows();
  Matrix<double> all(rows, (*matrices.begin())->cols());
  rows = 0;
  for (const auto* matrix : matrices) {
    all.middleRows(rows, matrix->rows()) =
        matrix->cast<double>().unaryExpr([&](double value) { return round_to(type, value); });
    rows += matrix->rows();
  }
  return all;
}

class LayerJudge {
 public:
  LayerJudge(const LayerRecord& record, const ModelWeights<float>& weights, Index layer,
             ValueType type, Index shift)
      : record_(record),
        shape_(weights.shape),
        weights_(weights.layers[static_cast<std::size_t>(layer)]),
        type_(type),
        shift_(shift),
        sample_(sampled_rows(record.hidden.rows())) {}

  std::vector<StepVerdict> verdicts() {
    norm("attention norm", record_.hidden, weights_.attention_norm, record_.attention_normed);
    query_key_value_product();
    rope();
    attention();
    product("output product, added", record_.attention_out, stacked({&weights_.output}, type_),
            &record_.hidden, record_.hidden_between);
    norm("feed-forward norm", record_.hidden_between, weights_.ffn_norm, record_.ffn_normed);
    product("gate and up product", record_.ffn_normed,
            stacked({&weights_.gate, &weights_.up}, type_), nullptr, record_.gate_up);
    const Matrix<double> gate_up = inputs(record_.gate_up);
    step("SwiGLU",
         true_swiglu(gate_up.leftCols(shape_.intermediate_size),
                     gate_up.rightCols(shape_.intermediate_size)),
         record_.activated);
    product("down product, added", record_.activated, stacked({&weights_.down}, type_),
            &record_.hidden_between, record_.hidden_after);
    return std::move(verdicts_);
  }

 private:
  [[nodiscard]] Matrix<double> inputs(const Matrix<double>& of_all_rows) const {
    return picked(of_all_rows, sample_, 0);
  }

  void step(const std::string& name, const StepTruth& truth, const Matrix<double>& found) {
    verdicts_.push_back({name, step_use(picked(found, sample_, shift_), truth, type_).share});
  }

  void norm(const std::string& name, const Matrix<double>& x, const Matrix<float>& weight,
            const Matrix<double>& found) {
    step(name, true_rms_norm(inputs(x), stacked({&weight}, type_), shape_.rms_norm_eps), found);
  }

  void product(const std::string& name, const Matrix<double>& x, const Matrix<double>& w,
               const Matrix<double>* there, const Matrix<double>& found) {
    const Matrix<double> rows = inputs(x);
    const Matrix<double> before = there == nullptr ? Matrix<double>() : inputs(*there);
    step(name, true_product({rows, w, nullptr, there == nullptr ? nullptr : &before}, type_),
         found);
  }

  void query_key_value_product() {
    const Matrix<double> x = inputs(record_.attention_normed);
    const Matrix<double> w = stacked({&weights_.query, &weights_.key, &weights_.value}, type_);
    Matrix<double> bias;
    if (weights_.query_bias.size() > 0) {
      bias = Matrix<double>(1, w.rows());
      bias << stacked({&weights_.query_bias}, type_), stacked({&weights_.key_bias}, type_),
          stacked({&weights_.value_bias}, type_);
    }
    step("query, key, value product",
         true_product({x, w, bias.size() == 0 ? nullptr : &bias}, type_), record_.qkv);
  }

  /// Queries and keys turn, values stay.
  void rope() {
    const Index values = shape_.num_kv_heads * shape_.head_dim;
    const Index turned = record_.qkv.cols() - values;
    step("RoPE",
         true_rope(inputs(record_.qkv).leftCols(turned), rope_table<double>(sample_, shape_)),
         record_.rotated.leftCols(turned));
    const bool stayed = picked(record_.rotated, sample_, shift_).rightCols(values) ==
                        inputs(record_.qkv).rightCols(values);
    if (!stayed) verdicts_.back().share = kInfinity;
  }

  void attention() {
    const Index rows = record_.rotated.rows(), heads = shape_.num_q_heads;
    const Index kv_heads = shape_.num_kv_heads, d = shape_.head_dim;
    const auto part = [&](Index first_head, Index count) {
      return HeadsView<const double>{record_.rotated.data() + first_head * d, rows, count, d,
                                     record_.rotated.cols()};
    };
    AttentionSetup setup;
    setup.query = part(0, heads);
    setup.keys = {{part(heads, kv_heads), part(heads + kv_heads, kv_heads),
                   [](Index row) { return row + 1; }}};
    setup.softmax_scale = 1 / std::sqrt(static_cast<double>(d));
    setup.kv_head = [group = heads / kv_heads](Index head) { return head / group; };
    const std::vector<Index> all_rows = count_up(rows), all_heads = count_up(heads);
    HeadsTensor<double> out(rows, heads, d);
    const Matrix<double> found = picked(record_.attention_out, all_rows, shift_);
    std::copy_n(found.data(), found.size(), out.values().begin());
    const BudgetUse use =
        budget_use(type_, setup, all_rows, all_heads, out, picked(record_.lse, all_rows, shift_));
    for (const BudgetCheck& check : use.checks) {
      verdicts_.push_back(
          {"attention, " + std::string(check.name), budget_share(check.error, check.tolerance)});
    }
  }

  const LayerRecord& record_;
  const ModelShape& shape_;
  const LayerWeights<float>& weights_;
  ValueType type_;
  Index shift_;
  std::vector<Index> sample_;
  std::vector<StepVerdict> verdicts_;
};

}  // namespace

std::vector<StepVerdict> judge_layer(const LayerRecord& record, const ModelWeights<float>& weights,
                                     Index layer, ValueType type, Index shift) {
  return LayerJudge(record, weights, layer, type, shift).verdicts();
}

}  // namespace apb
