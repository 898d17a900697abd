#pragma once
/// \file
/// Rows of attention results: some of them, or two lists one after the other.

#include "reference/attention/attention.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// Rows [begin, begin + count).
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> slice_rows(const AttentionPartial<Scalar>& partial,
                                                  Index begin, Index count) {
  AttentionPartial<Scalar> rows(0, partial.out.heads(), partial.out.head_dim());
  rows.out.append(partial.out.view().slice(begin, count));
  rows.lse = partial.lse.middleRows(begin, count);
  return rows;
}

/// The rows of `first`, then those of `second`; same heads and head_dim.
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> stack_rows(AttentionPartial<Scalar> first,
                                                  const AttentionPartial<Scalar>& second) {
  Matrix<Scalar> lse(first.lse.rows() + second.lse.rows(), second.lse.cols());
  lse << first.lse, second.lse;
  first.lse = std::move(lse);
  first.out.append(second.out.view());
  return first;
}

}  // namespace apb
