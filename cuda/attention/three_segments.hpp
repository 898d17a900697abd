#pragma once
/// \file
/// A rank's attention: rows [anchor, block] over keys [anchor, passing, block], each part read
/// where it lies.
///
/// Anchor row i sees anchor rows 0…i and nothing else; block row i sees all of the anchor, all of
/// the passing block and block rows 0…i. The parts decide this, never a position, so the same call
/// serves other passes: with no anchor rows the anchor's keys are keys that every block row sees (a
/// cache), with no block keys the block rows see nothing of themselves (a query on a rank that
/// holds none of its keys).

#include <cuda_runtime_api.h>

#include <span>

#include "cuda/device_heads.hpp"

namespace apb::cuda {

/// Keys and values of one part.
template <class T>
struct KeysAndValues {
  DeviceHeads<const T> key;    ///< [keys, num_kv_heads, head_dim], after RoPE
  DeviceHeads<const T> value;  ///< the same shape
};

/// Query rows of one part, and where their results go. Rows and heads of the three agree.
template <class T>
struct QueryRows {
  DeviceHeads<const T> query;  ///< [rows, num_q_heads, head_dim], after RoPE
  DeviceHeads<T> out;          ///< [rows, num_q_heads, head_dim]
  float* lse = nullptr;  ///< [rows, num_q_heads], natural log of the sum of exp of scaled scores
};

/// One rank's attention in one layer.
template <class T>
struct ThreeSegments {
  QueryRows<T> anchor_rows;  ///< none, or one a key of the anchor
  QueryRows<T> block_rows;
  KeysAndValues<T> anchor;
  KeysAndValues<T> block;  ///< none, or one a block row
  /// The lower ranks' kept entries, ranks ascending: slices of the all-gather's buffer.
  std::span<const KeysAndValues<T>> passing;
  double softmax_scale = 1;
};

/// Slices that a call takes at most, so that all descriptors fit in a kernel's arguments.
inline constexpr Index kMaxPassingSlices = 62;

/// Enqueues the attention; T is Bfloat16 or Float16, head_dim 64 or 128. Scores, weights' sums and
/// outputs are accumulated in fp32, weights rounded to T. A row that sees nothing, or scores of
/// -inf only, has out 0 and lse -inf; NaN or +inf in a visible score, or NaN in a visible value,
/// gives NaN; what is not visible never matters. Results have the same bits on every run. \throws
/// BadInput if a shape is not supported, naming it; CudaError if the launch is refused
template <class T>
void attend(const ThreeSegments<T>& problem, cudaStream_t stream);

}  // namespace apb::cuda
