#pragma once
/// \file
/// The kernels of block_scores.hpp, behind checks of what they are given. There is at least one row
/// and one head.

#include "cuda/selection/block_scores.hpp"

namespace apb::cuda {

/// scores = silu(hidden) fc2^T. \param hidden [rows, head.hidden]
template <class T>
void launch_second_layer(const DeviceRetainingHead<T>& head, const float* hidden, Index rows,
                         float* scores, cudaStream_t stream);
template <class T>
void launch_mean_query(const DeviceHeads<const T>& score_query, Index num_kv_heads,
                       float* mean_query, cudaStream_t stream);
template <class T>
void launch_query_aware(const DeviceHeads<const T>& block_key, const float* mean_query,
                        float* scores, cudaStream_t stream);
void launch_query_free(const QueryFreeBlock& block, float* scores, cudaStream_t stream);

}  // namespace apb::cuda
