#pragma once
/// \file
/// Tensors whose elements lie elsewhere in memory than usual: results must not change by a bit.

#include <algorithm>
#include <limits>
#include <vector>

#include "reference/core/heads_tensor.hpp"

namespace apb {

/// A copy of a tensor that starts `shift` elements later in memory and whose rows lie `gap`
/// elements apart, with NaN in between.
template <class Scalar>
class MovedTensor {
 public:
  MovedTensor(const HeadsTensor<Scalar>& tensor, Index shift, Index gap) {
    const Index row_size = tensor.heads() * tensor.head_dim();
    const Index stride = row_size + gap;
    const Index size = shift + tensor.rows() * stride;
    buffer_.assign(static_cast<std::size_t>(size), std::numeric_limits<Scalar>::quiet_NaN());
    for (Index row = 0; row < tensor.rows(); ++row) {
      std::copy_n(tensor.values().begin() + row * row_size, row_size,
                  buffer_.begin() + shift + row * stride);
    }
    view_ = {buffer_.data() + shift, tensor.rows(), tensor.heads(), tensor.head_dim(), stride};
  }

  [[nodiscard]] HeadsView<const Scalar> view() const { return view_; }

 private:
  std::vector<Scalar> buffer_;
  HeadsView<const Scalar> view_;
};

}  // namespace apb
