#pragma once
/// \file
/// Weights of Locret's retaining head (arXiv 2410.01805). What it computes stands in
/// attention/retaining_head.hpp.

#include "reference/core/matrix.hpp"

namespace apb {

/// Weights of one layer's head; `inputs` = (num_q_heads + 2 num_kv_heads) head_dim. No biases.
template <class Scalar>
struct RetainingHead {
  Matrix<Scalar> fc1;  ///< [hidden, inputs]; of a linear head [num_kv_heads, inputs]
  Matrix<Scalar> fc2;  ///< [num_kv_heads, hidden]; empty: a linear head, fc1 alone
};

}  // namespace apb
