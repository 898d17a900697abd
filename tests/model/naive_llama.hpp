#pragma once
/// \file
/// A Llama written out in loops over double, without tiles, caches or ranks: what prefill and
/// decode must agree with. It shares nothing with reference/model but the types of the weights.

#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/core/weights/model_weights.hpp"

namespace apb {

/// Hidden states after the last layer of tokens at positions 0, 1, 2, …, [tokens, hidden_size].
template <class Scalar>
[[nodiscard]] Matrix<double> naive_hidden(const ModelWeights<Scalar>& weights,
                                          const std::vector<int>& tokens);

/// Natural-log probabilities of the next token after each row, [rows, vocab_size].
/// \param hidden [rows, hidden_size] after the last layer
template <class Scalar>
[[nodiscard]] Matrix<double> naive_log_probabilities(const ModelWeights<Scalar>& weights,
                                                     const Matrix<double>& hidden);

/// y = x w^T.
template <class Scalar>
[[nodiscard]] Matrix<double> naive_linear(const Matrix<double>& x, const Matrix<Scalar>& w);

template <class Scalar>
[[nodiscard]] Matrix<double> naive_rms_norm(const Matrix<double>& x, const Matrix<Scalar>& weight,
                                            double eps);

/// Turns one head at `position`, half-split layout.
void naive_rope(double* head, Index head_dim, Index position, double theta);

}  // namespace apb
