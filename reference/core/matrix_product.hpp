#pragma once
/// \file
/// Products of matrices that are large in all directions, one thread each. They stand apart because
/// Eigen's product takes the compiler longer than any file that uses it: it is compiled here once
/// for each type.

#include "reference/core/matrix.hpp"

namespace apb {

/// A matrix or a part of one: elements of a row lie next to each other, rows may lie apart.
template <class Scalar>
using MatrixPart = Eigen::Ref<Matrix<Scalar>, 0, Eigen::OuterStride<>>;
template <class Scalar>
using ConstMatrixPart = Eigen::Ref<const Matrix<Scalar>, 0, Eigen::OuterStride<>>;

/// y = a b^T.
/// \param a        [rows, inner]
/// \param b        [columns, inner]
/// \param y        [rows, columns], overwritten; shares no memory with a or b
template <class Scalar>
void multiply_transposed(const ConstMatrixPart<Scalar>& a, const ConstMatrixPart<Scalar>& b,
                         MatrixPart<Scalar> y);

/// y += a b.
/// \param a        [rows, inner]
/// \param b        [inner, columns]
/// \param y        [rows, columns]; shares no memory with a or b
template <class Scalar>
void add_product(const ConstMatrixPart<Scalar>& a, const ConstMatrixPart<Scalar>& b,
                 MatrixPart<Scalar> y);

}  // namespace apb
