#pragma once
/// \file
/// One rank's attention as a test wants it: inputs in double, exactly representable in the kernel's
/// type; a run on the GPU with everything poisoned that is not input; the contract's verdict.

#include <vector>

#include "reference/core/value_type.hpp"
#include "tests/cuda/row_budget.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {

struct ProblemShape {
  Index anchor_rows = 0;
  std::vector<Index> kept;  ///< passing rows, one count a lower rank
  Index block_rows = 0;
  Index num_q_heads = 2;
  Index num_kv_heads = 1;
  Index head_dim = 64;
  ValueType type = ValueType::kBfloat16;
};

/// Keys and values of one part.
struct HostKeys {
  HeadsTensor<double> key, value;
};

/// What one part's rows got.
struct RowResults {
  HeadsTensor<double> out;
  Matrix<double> lse;
};

/// What a run on the GPU gave.
struct DeviceResults {
  RowResults anchor, block;
  bool stayed_inside = true;  ///< nothing was written but the rows that were asked for
};

struct AttentionProblem {
  ProblemShape shape;
  HeadsTensor<double> anchor_query, block_query;
  HostKeys anchor, block;
  std::vector<HostKeys> passing;
  double softmax_scale = 1;
  bool skip_anchor_rows = false;  ///< the anchor is keys only
  bool skip_block_keys = false;   ///< the block's rows do not see each other

  /// Random inputs, uniform in [-range, range), scale 1 / sqrt(head_dim).
  AttentionProblem(const ProblemShape& shape, std::uint64_t seed, double range = 2);

  /// Rounds every input to the shape's type, after a test has changed some.
  void round_inputs();

  [[nodiscard]] std::vector<KeySegment<double>> anchor_segments() const;
  [[nodiscard]] std::vector<KeySegment<double>> block_segments() const;

  /// Own rows lie in one fused QKV buffer, anchor first; passing entries in an all-gather's buffer
  /// whose slices have room for the largest count and more. All that is no input is NaN.
  [[nodiscard]] DeviceResults run() const { return runs(1).front(); }
  /// The same inputs, copied once, so many times.
  [[nodiscard]] std::vector<DeviceResults> runs(int count) const;

  /// The worse verdict of anchor and block rows.
  [[nodiscard]] BudgetUse judge(const DeviceResults& results) const;
};

}  // namespace apb
