#pragma once
/// \file
/// Matrices for those who compute with Eigen: owned ones, and one head of a HeadsView as a matrix.
/// Lengths, layouts and tensors that are only handed on need none of it (index.hpp,
/// heads_tensor.hpp).

#include <Eigen/Core>
#include <cassert>
#include <type_traits>

#include "reference/core/heads_tensor.hpp"

namespace apb {

/// Row-major matrix, e.g. hidden states [rows, hidden_size] or weights [outputs, inputs].
template <class Scalar>
using Matrix = Eigen::Matrix<Scalar, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// View of one head of a HeadsView as a matrix [rows, head_dim] with a row stride.
template <class Scalar>
using HeadMatrix = Eigen::Map<
    std::conditional_t<std::is_const_v<Scalar>, const Matrix<std::remove_const_t<Scalar>>,
                       Matrix<std::remove_const_t<Scalar>>>,
    Eigen::Unaligned, Eigen::OuterStride<>>;

/// One head of a tensor as a matrix [rows, head_dim].
template <class Scalar>
[[nodiscard]] HeadMatrix<Scalar> head_matrix(const HeadsView<Scalar>& view, Index head) {
  assert(head >= 0 && head < view.heads);
  return {view.data + head * view.head_dim, view.rows, view.head_dim,
          Eigen::OuterStride<>(view.row_stride)};
}

}  // namespace apb
