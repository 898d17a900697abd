#pragma once
/// \file
/// A kernel for the plug-in's grid, in the test's own words, that can be wrong in many ways.

#include <functional>
#include <span>

#include "reference/attention/visibility.hpp"
#include "reference/verify/grid_shape.hpp"

namespace apb {

/// A row or key: its segment and place in it.
struct Place {
  Segment segment;
  Index at;
};

/// How the kernel reads a call and computes. The default is right.
struct GridKernel {
  std::function<bool(const GridShape&, Place row, Place key)> sees = [](const GridShape&, Place row,
                                                                        Place key) {
    return is_visible(row.segment, row.at, key.segment, key.at);
  };
  std::function<bool(const GridShape&, Place key)> value_is_zero = [](const GridShape&, Place) {
    return false;
  };
  std::function<Index(const GridShape&, Index head)> kv_head = [](const GridShape& shape,
                                                                  Index head) {
    return head / (shape.heads.num_q_heads / shape.heads.num_kv_heads);
  };
  std::function<double(const GridShape&)> scale = [](const GridShape& shape) {
    return shape.softmax_scale();
  };
  std::function<Index(const GridShape&)> head_dim = [](const GridShape& shape) {
    return shape.head_dim;  // of q·k
  };
  std::function<bool(const GridShape&, Index row)> writes = [](const GridShape&, Index) {
    return true;
  };
  double lse_factor = 1;
  bool shifts = true;            ///< subtracts the maximum before exp
  bool rescales = true;          ///< when the maximum grows
  bool half_scores = false;      ///< q·k in fp16
  bool weighs_hidden = false;    ///< values that a row does not see with 0
  bool first_item_only = false;  ///< every batch item is item 0
};

/// out and lse of some rows, all heads.
struct GridOutput {
  HeadsTensor<double> out;
  Matrix<double> lse;
};

[[nodiscard]] GridOutput run_grid_kernel(const GridKernel& kernel, const GridShape& shape,
                                         const GridCall& call, std::size_t item, ValueType type,
                                         std::span<const Index> rows);

}  // namespace apb
