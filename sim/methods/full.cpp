// One GPU, or one group of tensor-parallel GPUs, does all: every row sees all rows before it.
// Tensor parallelism is the same layer with heads and feed-forward columns shared out and two
// all-reduces, which PlanBuilder adds.

#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_full(const PlanInput& input, PlanBuilder& builder) {
  const auto& [begin, end] = input.piece;
  const Index rows = end - begin;
  builder.project(0, rows);
  builder.attend(0, rows, causal_pairs(rows) + rows * begin, end, MaskKind::kCausal);
  builder.finish({rows});
}

}  // namespace apb::sim
