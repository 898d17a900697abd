#include "reference/model/transformer.hpp"

#include <algorithm>
#include <cmath>

#include "reference/core/error.hpp"
#include "reference/core/parallel_for.hpp"
#include "reference/model/linear.hpp"

namespace apb {
namespace {

/// Rows that one thread takes at a time.
constexpr Index kThreadRows = 64;
/// Rows whose feed-forward activations, the widest of the model, are held at a time: enough to
/// share among threads.
constexpr Index kFeedForwardRows = 1024;

/// Calls body(begin, count) for all tiles of kThreadRows rows, shared among threads.
template <class Body>
void for_row_tiles(Index rows, const Body& body) {
  parallel_for((rows + kThreadRows - 1) / kThreadRows, [&](Index tile) {
    const Index begin = tile * kThreadRows;
    body(begin, std::min(kThreadRows, rows - begin));
  });
}

/// Calls body(row) for all rows, shared among threads.
template <class Body>
void for_rows(Index rows, const Body& body) {
  for_row_tiles(rows, [&](Index begin, Index count) {
    for (Index row = begin; row < begin + count; ++row) body(row);
  });
}

/// A dense per-head tensor seen as a matrix [rows, heads * head_dim].
template <class Scalar>
Eigen::Map<Matrix<Scalar>> as_matrix(HeadsTensor<Scalar>& tensor) {
  return {tensor.values().data(), tensor.rows(), tensor.heads() * tensor.head_dim()};
}

template <class Scalar>
Eigen::Map<const Matrix<Scalar>> as_matrix(const HeadsTensor<Scalar>& tensor) {
  return {tensor.values().data(), tensor.rows(), tensor.heads() * tensor.head_dim()};
}

/// gate = silu(gate) * up, silu(x) = x / (1 + exp(-x)).
template <class Scalar>
void swiglu(Matrix<Scalar>& gate, const Matrix<Scalar>& up) {
  for_row_tiles(gate.rows(), [&](Index begin, Index rows) {
    auto g = gate.middleRows(begin, rows).array();
    g = g / (Scalar{1} + (-g).exp()) * up.middleRows(begin, rows).array();
  });
}

/// y += bias, row by row; an empty bias is none.
template <class Scalar>
void add_bias(Eigen::Map<Matrix<Scalar>> y, const Matrix<Scalar>& bias) {
  if (bias.size() > 0) y.rowwise() += bias.row(0);
}

/// out = (silu(x W_gate^T) * x W_up^T) W_down^T.
/// \param x, out [rows, hidden_size]
template <class Scalar>
void feed_forward(const LayerWeights<Scalar>& w, const Matrix<Scalar>& x, Matrix<Scalar>& out,
                  Counters& counters) {
  Matrix<Scalar> gate;
  Matrix<Scalar> up;
  for (Index begin = 0; begin < x.rows(); begin += kFeedForwardRows) {
    const Index rows = std::min(kFeedForwardRows, x.rows() - begin);
    gate.resize(rows, w.gate.rows());
    up.resize(rows, w.up.rows());
    counters.projection_flop += linear<Scalar>(x.middleRows(begin, rows), w.gate, gate);
    counters.projection_flop += linear<Scalar>(x.middleRows(begin, rows), w.up, up);
    swiglu(gate, up);
    counters.projection_flop += linear<Scalar>(gate, w.down, out.middleRows(begin, rows));
  }
}

}  // namespace

template <class Scalar>
void apply_rope(const RopeTable<Scalar>& table, const HeadsView<Scalar>& heads) {
  const Index half = heads.head_dim / 2;
  for_rows(heads.rows, [&](Index row) {
    for (Index head = 0; head < heads.heads; ++head) {
      Scalar* x = heads.at(row, head);
      for (Index i = 0; i < half; ++i) {
        const Scalar cosine = table.cosine(row, i);
        const Scalar sine = table.sine(row, i);
        const Scalar first = x[i];
        const Scalar second = x[i + half];
        x[i] = first * cosine - second * sine;
        x[i + half] = second * cosine + first * sine;
      }
    }
  });
}

template <class Scalar>
Matrix<Scalar> rms_norm(const Matrix<Scalar>& x, const Matrix<Scalar>& weight, double eps) {
  Matrix<Scalar> normed(x.rows(), x.cols());
  for_rows(x.rows(), [&](Index row) {
    double sum_of_squares = 0;
    for (Index column = 0; column < x.cols(); ++column) {
      sum_of_squares += static_cast<double>(x(row, column)) * static_cast<double>(x(row, column));
    }
    const double mean = sum_of_squares / static_cast<double>(x.cols());
    const auto factor = static_cast<Scalar>(1.0 / std::sqrt(mean + eps));
    normed.row(row) = (x.row(row) * factor).cwiseProduct(weight.row(0));
  });
  return normed;
}

template <class Scalar>
Matrix<Scalar> embed(const ModelWeights<Scalar>& weights, std::span<const int> tokens) {
  Matrix<Scalar> hidden(std::ssize(tokens), weights.shape.hidden_size);
  for (Index row = 0; row < hidden.rows(); ++row) {
    const int token = tokens[static_cast<std::size_t>(row)];
    if (token < 0 || token >= weights.shape.vocab_size) {
      throw BadInput("tokens", fmt::format("token {}", row), token,
                     fmt::format("between 0 and {}", weights.shape.vocab_size - 1));
    }
    hidden.row(row) = weights.embedding.row(token);
  }
  return hidden;
}

template <class Scalar>
Qkv<Scalar> project_qkv(const ModelWeights<Scalar>& weights, Index layer,
                        const Matrix<Scalar>& hidden, const RopeTable<Scalar>& rope,
                        Counters& counters, Index feature_rows) {
  const ModelShape& config = weights.shape;
  const auto& w = weights.layers[static_cast<std::size_t>(layer)];
  const Matrix<Scalar> normed = rms_norm(hidden, w.attention_norm, config.rms_norm_eps);
  Qkv<Scalar> qkv{{hidden.rows(), config.num_q_heads, config.head_dim},
                  {hidden.rows(), config.num_kv_heads, config.head_dim},
                  {hidden.rows(), config.num_kv_heads, config.head_dim}};
  counters.projection_flop += linear<Scalar>(normed, w.query, as_matrix(qkv.query));
  counters.projection_flop += linear<Scalar>(normed, w.key, as_matrix(qkv.key));
  counters.projection_flop += linear<Scalar>(normed, w.value, as_matrix(qkv.value));
  add_bias(as_matrix(qkv.query), w.query_bias);
  add_bias(as_matrix(qkv.key), w.key_bias);
  add_bias(as_matrix(qkv.value), w.value_bias);
  qkv.features.resize(feature_rows, w.query.rows() + w.key.rows() + w.value.rows());
  if (feature_rows > 0) {
    qkv.features << as_matrix(qkv.query).bottomRows(feature_rows),
        as_matrix(qkv.key).bottomRows(feature_rows), as_matrix(qkv.value).bottomRows(feature_rows);
  }
  apply_rope(rope, qkv.query.view());
  apply_rope(rope, qkv.key.view());
  return qkv;
}

template <class Scalar>
void finish_layer(const ModelWeights<Scalar>& weights, Index layer,
                  const HeadsTensor<Scalar>& attention_out, Matrix<Scalar>& hidden,
                  Counters& counters) {
  const ModelShape& config = weights.shape;
  const auto& w = weights.layers[static_cast<std::size_t>(layer)];
  Matrix<Scalar> update(hidden.rows(), hidden.cols());
  counters.projection_flop += linear<Scalar>(as_matrix(attention_out), w.output, update);
  hidden += update;

  feed_forward(w, rms_norm(hidden, w.ffn_norm, config.rms_norm_eps), update, counters);
  hidden += update;
}

template <class Scalar>
Matrix<Scalar> logits(const ModelWeights<Scalar>& weights, const Matrix<Scalar>& hidden) {
  const Matrix<Scalar> normed = rms_norm(hidden, weights.final_norm, weights.shape.rms_norm_eps);
  Matrix<Scalar> result(hidden.rows(), weights.shape.vocab_size);
  linear<Scalar>(normed, weights.logits_matrix(), result);
  return result;
}

template void apply_rope(const RopeTable<float>&, const HeadsView<float>&);
template void apply_rope(const RopeTable<double>&, const HeadsView<double>&);
template Matrix<float> rms_norm(const Matrix<float>&, const Matrix<float>&, double);
template Matrix<double> rms_norm(const Matrix<double>&, const Matrix<double>&, double);
template Matrix<float> embed(const ModelWeights<float>&, std::span<const int>);
template Matrix<double> embed(const ModelWeights<double>&, std::span<const int>);
template Qkv<float> project_qkv(const ModelWeights<float>&, Index, const Matrix<float>&,
                                const RopeTable<float>&, Counters&, Index);
template Qkv<double> project_qkv(const ModelWeights<double>&, Index, const Matrix<double>&,
                                 const RopeTable<double>&, Counters&, Index);
template void finish_layer(const ModelWeights<float>&, Index, const HeadsTensor<float>&,
                           Matrix<float>&, Counters&);
template void finish_layer(const ModelWeights<double>&, Index, const HeadsTensor<double>&,
                           Matrix<double>&, Counters&);
template Matrix<float> logits(const ModelWeights<float>&, const Matrix<float>&);
template Matrix<double> logits(const ModelWeights<double>&, const Matrix<double>&);

}  // namespace apb
