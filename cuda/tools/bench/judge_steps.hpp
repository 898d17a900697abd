#pragma once
/// \file
/// Judges the steps of a layer that `apb verify` does not know: norms, products, RoPE, SwiGLU.

#include <string>
#include <vector>

#include "cuda/benchmarks/block_layer.hpp"
#include "reference/verify/layer_steps.hpp"

namespace apb::cuda {

struct JudgedStep {
  std::string name;
  StepUse use;
};

/// Runs the layer once, step by step, and judges a few rows of each step on what that step read; of
/// products a sample of the outputs.
[[nodiscard]] std::vector<JudgedStep> judge_steps(BlockLayer& layer);

}  // namespace apb::cuda
