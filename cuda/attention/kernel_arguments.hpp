#pragma once
/// \file
/// What the portable attention kernel is given: a problem whose shapes have been checked.

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/attention/three_segments.hpp"

namespace apb::cuda {

/// Query rows of a thread block.
inline constexpr int kTileQ = 128;

/// A segment as the kernel reads it.
template <class T>
struct KernelKeys {
  const T* key;
  const T* value;
  std::int64_t key_row_stride, key_head_stride, value_row_stride, value_head_stride;
  int keys;
};

/// Query rows of a part and the segments they see: the first causally, the others as a whole.
template <class T>
struct KernelRows {
  const T* query;
  T* out;
  float* lse;
  std::int64_t query_row_stride, query_head_stride, out_row_stride, out_head_stride;
  int rows, tiles;
  int first_segment, end_segment;
};

template <class T>
struct KernelArguments {
  KernelRows<T> block, anchor;
  int num_q_heads, group_size;
  float softmax_scale;
  KernelKeys<T> segments[kMaxPassingSlices + 2];  ///< block, anchor, passing slices
};

/// Enqueues the kernel. Each of the four kinds is compiled in a file of its own.
template <class T, int kHeadDim>
void launch_attention(const KernelArguments<T>& arguments, cudaStream_t stream);

}  // namespace apb::cuda
