#pragma once
/// \file
/// Body of launch_attention, for the files that compile one kind of kernel each.

#include "cuda/attention/three_segments_kernel.cuh"
#include "cuda/check.hpp"

namespace apb::cuda {

template <class T, int kHeadDim>
void launch_attention(const KernelArguments<T>& arguments, cudaStream_t stream) {
  constexpr int kBytes = kSharedBytes<kHeadDim>;
  const auto kernel = attend_kernel<T, kHeadDim>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kBytes));
  const int blocks = (arguments.block.tiles + arguments.anchor.tiles) * arguments.num_q_heads;
  kernel<<<static_cast<unsigned>(blocks), kThreads, kBytes, stream>>>(arguments);
  check_launch();
}

}  // namespace apb::cuda
