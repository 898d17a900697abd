#include "tests/model/naive_llama.hpp"

#include <algorithm>
#include <cmath>

namespace apb {
namespace {

/// Causal softmax attention, [tokens, num_q_heads * head_dim].
Matrix<double> attention(const ModelShape& config, const Matrix<double>& query,
                         const Matrix<double>& key, const Matrix<double>& value) {
  const Index d = config.head_dim;
  const Index group = config.num_q_heads / config.num_kv_heads;
  Matrix<double> out = Matrix<double>::Zero(query.rows(), query.cols());
  for (Index row = 0; row < query.rows(); ++row) {
    for (Index head = 0; head < config.num_q_heads; ++head) {
      const Index kv = head / group * d;
      std::vector<double> weights;
      double sum = 0;
      for (Index j = 0; j <= row; ++j) {
        double score = 0;
        for (Index i = 0; i < d; ++i) score += query(row, head * d + i) * key(j, kv + i);
        // Scores of the toy model are small: no shift is needed.
        weights.push_back(std::exp(score / std::sqrt(static_cast<double>(d))));
        sum += weights.back();
      }
      for (Index j = 0; j <= row; ++j) {
        const double weight = weights[static_cast<std::size_t>(j)] / sum;
        for (Index i = 0; i < d; ++i) out(row, head * d + i) += weight * value(j, kv + i);
      }
    }
  }
  return out;
}

void rotate_heads(Matrix<double>& heads, const ModelShape& config) {
  for (Index row = 0; row < heads.rows(); ++row) {
    for (Index first = 0; first < heads.cols(); first += config.head_dim) {
      naive_rope(&heads(row, first), config.head_dim, row, config.rope_theta);
    }
  }
}

}  // namespace

template <class Scalar>
Matrix<double> naive_linear(const Matrix<double>& x, const Matrix<Scalar>& w) {
  Matrix<double> y(x.rows(), w.rows());
  for (Index row = 0; row < x.rows(); ++row) {
    for (Index output = 0; output < w.rows(); ++output) {
      double sum = 0;
      for (Index i = 0; i < x.cols(); ++i) sum += x(row, i) * static_cast<double>(w(output, i));
      y(row, output) = sum;
    }
  }
  return y;
}

template <class Scalar>
Matrix<double> naive_rms_norm(const Matrix<double>& x, const Matrix<Scalar>& weight, double eps) {
  Matrix<double> normed(x.rows(), x.cols());
  for (Index row = 0; row < x.rows(); ++row) {
    double squares = 0;
    for (Index i = 0; i < x.cols(); ++i) squares += x(row, i) * x(row, i);
    const double root = std::sqrt(squares / static_cast<double>(x.cols()) + eps);
    for (Index i = 0; i < x.cols(); ++i) {
      normed(row, i) = x(row, i) / root * static_cast<double>(weight(0, i));
    }
  }
  return normed;
}

void naive_rope(double* head, Index head_dim, Index position, double theta) {
  const Index half = head_dim / 2;
  for (Index i = 0; i < half; ++i) {
    const double exponent = 2.0 * static_cast<double>(i) / static_cast<double>(head_dim);
    const double angle = static_cast<double>(position) / std::pow(theta, exponent);
    const double a = head[i];
    const double b = head[i + half];
    head[i] = a * std::cos(angle) - b * std::sin(angle);
    head[i + half] = a * std::sin(angle) + b * std::cos(angle);
  }
}

template <class Scalar>
Matrix<double> naive_hidden(const ModelWeights<Scalar>& weights, const std::vector<int>& tokens) {
  const ModelShape& config = weights.shape;
  Matrix<double> hidden(std::ssize(tokens), config.hidden_size);
  for (Index row = 0; row < hidden.rows(); ++row) {
    hidden.row(row) =
        weights.embedding.row(tokens[static_cast<std::size_t>(row)]).template cast<double>();
  }
  for (const auto& layer : weights.layers) {
    const auto normed = naive_rms_norm(hidden, layer.attention_norm, config.rms_norm_eps);
    Matrix<double> query = naive_linear(normed, layer.query);
    Matrix<double> key = naive_linear(normed, layer.key);
    rotate_heads(query, config);
    rotate_heads(key, config);
    const auto attended = attention(config, query, key, naive_linear(normed, layer.value));
    hidden += naive_linear(attended, layer.output);

    const auto ffn_normed = naive_rms_norm(hidden, layer.ffn_norm, config.rms_norm_eps);
    Matrix<double> gate = naive_linear(ffn_normed, layer.gate);
    const Matrix<double> up = naive_linear(ffn_normed, layer.up);
    for (Index row = 0; row < gate.rows(); ++row) {
      for (Index i = 0; i < gate.cols(); ++i) {
        gate(row, i) = gate(row, i) / (1.0 + std::exp(-gate(row, i))) * up(row, i);
      }
    }
    hidden += naive_linear(gate, layer.down);
  }
  return hidden;
}

template <class Scalar>
Matrix<double> naive_log_probabilities(const ModelWeights<Scalar>& weights,
                                       const Matrix<double>& hidden) {
  const auto normed = naive_rms_norm(hidden, weights.final_norm, weights.shape.rms_norm_eps);
  Matrix<double> logits = naive_linear(normed, weights.logits_matrix());
  for (Index row = 0; row < logits.rows(); ++row) {
    double sum = 0;
    for (Index token = 0; token < logits.cols(); ++token) sum += std::exp(logits(row, token));
    for (Index token = 0; token < logits.cols(); ++token) logits(row, token) -= std::log(sum);
  }
  return logits;
}

template Matrix<double> naive_linear(const Matrix<double>&, const Matrix<float>&);
template Matrix<double> naive_linear(const Matrix<double>&, const Matrix<double>&);
template Matrix<double> naive_rms_norm(const Matrix<double>&, const Matrix<float>&, double);
template Matrix<double> naive_rms_norm(const Matrix<double>&, const Matrix<double>&, double);
template Matrix<double> naive_hidden(const ModelWeights<float>&, const std::vector<int>&);
template Matrix<double> naive_hidden(const ModelWeights<double>&, const std::vector<int>&);
template Matrix<double> naive_log_probabilities(const ModelWeights<float>&, const Matrix<double>&);
template Matrix<double> naive_log_probabilities(const ModelWeights<double>&, const Matrix<double>&);

}  // namespace apb
