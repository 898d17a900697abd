#pragma once
/// \file
/// Judges what a benchmark is about to time, on the inputs that it times.

#include "cuda/benchmarks/block_layer.hpp"
#include "cuda/benchmarks/ring_layer.hpp"
#include "reference/verify/judge.hpp"

namespace apb::cuda {

/// Runs the layer once and judges what `apb verify` judges: attention of a sample of rows,
/// importance, selection. The inputs of each step are the GPU's own.
/// \param rows about so many of the rank's rows
[[nodiscard]] Judgement judge_layer(BlockLayer& layer, Index rows);

/// The same for a ring's attention after its last step, against exact attention over all keys.
[[nodiscard]] Judgement judge_ring(RingLayer& layer, Index rows);

}  // namespace apb::cuda
