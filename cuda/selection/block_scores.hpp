#pragma once
/// \file
/// Scores of a block's tokens, before pooling, by each of the compressors. All in fp32.

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/device_heads.hpp"
#include "cuda/layer/matrix_product.hpp"
#include "reference/core/config.hpp"

namespace apb::cuda {

/// Weights of one layer's retaining head (Locret, arXiv 2410.01805) in device memory:
/// scores = silu(x fc1^T) fc2^T, or x fc1^T of a linear head.
template <class T>
struct DeviceRetainingHead {
  const T* fc1 = nullptr;  ///< [hidden, inputs]; of a linear head [num_kv_heads, inputs]
  const T* fc2 = nullptr;  ///< [num_kv_heads, hidden]; null: a linear head
  Index inputs = 0;        ///< (num_q_heads + 2 num_kv_heads) head_dim
  Index hidden = 0;        ///< 0: a linear head
  Index num_kv_heads = 0;

  [[nodiscard]] bool is_linear() const { return fc2 == nullptr; }
};

/// Rows that a retaining head takes at a time, so that what lies between its layers stays in the
/// L2 cache (16 MiB at 1,024 units).
inline constexpr Index kRetainingRows = 4096;

/// Floats of the workspace of retaining_head_scores.
template <class T>
[[nodiscard]] Index retaining_workspace_size(const DeviceRetainingHead<T>& head, Index rows) {
  return (rows < kRetainingRows ? rows : kRetainingRows) * head.hidden;
}

/// Enqueues the scores of a block by a retaining head.
/// \param features  [block_rows, inputs]: q, k, v before RoPE, as the fused product leaves them
/// \param workspace retaining_workspace_size(head, block_rows) floats
/// \param scores    [block_rows, num_kv_heads]
/// \throws BadInput if shapes do not fit; LibraryError, CudaError if a launch is refused
template <class T>
void retaining_head_scores(MatrixProducts& products, const DeviceRetainingHead<T>& head,
                           const DeviceRows<const T>& features, float* workspace, float* scores,
                           cudaStream_t stream);

/// Enqueues score[j, h] = mean over query rows and over the query heads of KV head h's group of
/// q · k_j, unscaled. The mean query comes first: the same numbers from one row instead of many.
/// \param score_query [query rows, num_q_heads, head_dim], after RoPE, at least one row
/// \param block_key   [block_rows, num_kv_heads, head_dim], after RoPE
/// \param mean_query  workspace, [num_kv_heads, head_dim]
/// \param scores      [block_rows, num_kv_heads]
/// \throws BadInput if shapes do not fit; CudaError if a launch is refused
template <class T>
void query_aware_scores(const DeviceHeads<const T>& score_query,
                        const DeviceHeads<const T>& block_key, float* mean_query, float* scores,
                        cudaStream_t stream);

/// Which tokens a compressor that looks at no tensor scores.
struct QueryFreeBlock {
  Compressor compressor = Compressor::kRandom;  ///< or kRecent
  std::uint64_t seed = 0;
  Index layer = 0;
  Index first_doc_pos = 0;  ///< of row 0
  Index rows = 0;
  Index num_kv_heads = 0;
};

/// Enqueues scores by `random` (a hash of seed, layer, KV head and doc_pos, uniform in [0, 1)) or
/// `recent` (doc_pos): the same numbers as the reference in fp32.
/// \param scores [rows, num_kv_heads]
/// \throws BadInput for another compressor; CudaError if the launch is refused
void query_free_scores(const QueryFreeBlock& block, float* scores, cudaStream_t stream);

}  // namespace apb::cuda
