#pragma once
/// \file
/// Decode: a few query rows over one rank's whole cache, as a partial for the merge over ranks.

#include <cuda_runtime_api.h>

#include "cuda/attention/three_segments.hpp"
#include "cuda/decode/merge_partials.hpp"

namespace apb::cuda {

/// Query rows that see every key of a cache, but of those that are their own only the earlier ones.
template <class T>
struct CacheAttention {
  DeviceHeads<const T> query;  ///< [rows, num_q_heads, head_dim], after RoPE
  KeysAndValues<T> cache;      ///< [keys, num_kv_heads, head_dim], after RoPE; keys may be 0
  double softmax_scale = 1;
  /// The last keys of the cache that are the query rows' own, a key a row: row i sees those of rows
  /// 0…i. 0 on ranks that hold none of them.
  Index own_keys = 0;

  [[nodiscard]] PartialShape shape() const { return {query.rows, query.heads, query.head_dim}; }
  /// Floats of the workspace: a partial for each piece of the cache.
  [[nodiscard]] Index workspace_size() const;
};

/// Enqueues the attention; T is Bfloat16 or Float16, head_dim 64 or 128. The cache is cut into
/// pieces of a fixed length, each read by thread blocks of its own, and their partials are merged:
/// the same bits on every device. All is computed in fp32, weights too. Special values as in
/// attend(). \param workspace [workspace_size()], not used by anything else until the stream has
/// passed \param partial   as PartialShape says \throws BadInput if a shape is not supported;
/// CudaError if a launch is refused
template <class T>
void attend_cache(const CacheAttention<T>& problem, float* workspace, float* partial,
                  cudaStream_t stream);

}  // namespace apb::cuda
