#pragma once
/// \file
/// Per-head tensors [rows, heads, head_dim], row-major: queries, keys, values and attention's
/// results.

#include <cassert>
#include <type_traits>
#include <vector>

#include "reference/core/index.hpp"

namespace apb {

/// A view (not an owner) of a tensor [rows, heads, head_dim]; elements of one head are contiguous.
template <class Scalar>
struct HeadsView {
  Scalar* data = nullptr;
  Index rows = 0;
  Index heads = 0;
  Index head_dim = 0;
  Index row_stride = 0;  ///< elements between a row and the next, at least heads * head_dim

  /// First of the head_dim elements of (row, head).
  [[nodiscard]] Scalar* at(Index row, Index head) const {
    assert(row >= 0 && row < rows && head >= 0 && head < heads);
    return data + row * row_stride + head * head_dim;
  }

  /// The view of rows [begin, begin + count).
  [[nodiscard]] HeadsView slice(Index begin, Index count) const {
    assert(begin >= 0 && count >= 0 && begin + count <= rows);
    return {data + begin * row_stride, count, heads, head_dim, row_stride};
  }

  /// A view of mutable elements is also a view of constant ones.
  operator HeadsView<const Scalar>() const  // NOLINT(google-explicit-constructor)
      requires(!std::is_const_v<Scalar>) {
    return {data, rows, heads, head_dim, row_stride};
  }
};

/// An owned, dense tensor [rows, heads, head_dim], zero at first.
template <class Scalar>
class HeadsTensor {
 public:
  HeadsTensor() = default;
  HeadsTensor(Index rows, Index heads, Index head_dim)
      : rows_(rows),
        heads_(heads),
        head_dim_(head_dim),
        data_(static_cast<std::size_t>(rows * heads * head_dim)) {}

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index heads() const { return heads_; }
  [[nodiscard]] Index head_dim() const { return head_dim_; }
  [[nodiscard]] std::vector<Scalar>& values() { return data_; }
  [[nodiscard]] const std::vector<Scalar>& values() const { return data_; }

  [[nodiscard]] HeadsView<Scalar> view() {
    return {data_.data(), rows_, heads_, head_dim_, heads_ * head_dim_};
  }
  [[nodiscard]] HeadsView<const Scalar> view() const {
    return {data_.data(), rows_, heads_, head_dim_, heads_ * head_dim_};
  }

  /// Drops or adds (zeroed) rows at the end.
  void resize_rows(Index rows) {
    data_.resize(static_cast<std::size_t>(rows * heads_ * head_dim_));
    rows_ = rows;
  }

  /// Appends the rows of a view of the same heads and head_dim.
  void append(const HeadsView<const Scalar>& more) {
    assert(more.heads == heads_ && more.head_dim == head_dim_);
    for (Index row = 0; row < more.rows; ++row) {
      const Scalar* first = more.data + row * more.row_stride;
      data_.insert(data_.end(), first, first + heads_ * head_dim_);
    }
    rows_ += more.rows;
  }

 private:
  Index rows_ = 0;
  Index heads_ = 0;
  Index head_dim_ = 0;
  std::vector<Scalar> data_;
};

}  // namespace apb
