#pragma once
/// \file
/// Matrix products of activations and weights, parallel over row tiles and column panels. Each
/// product is single-threaded, so results do not depend on the number of threads.

#include "reference/core/counters.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// y = x w^T.
/// \param x        [rows, inputs]
/// \param w        [outputs, inputs]
/// \param y        [rows, outputs], overwritten
/// \returns FLOPs: 2 rows inputs outputs
template <class Scalar>
std::int64_t linear(const Eigen::Ref<const Matrix<Scalar>>& x, const Matrix<Scalar>& w,
                    Eigen::Ref<Matrix<Scalar>> y);

}  // namespace apb
