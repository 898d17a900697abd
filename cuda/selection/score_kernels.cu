#include "cuda/check.hpp"
#include "cuda/layer/silu.cuh"
#include "cuda/mix_bits.cuh"
#include "cuda/selection/score_kernels.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
/// Outputs of a retaining head that a warp computes from one read of its input.
constexpr int kHeadsAtOnce = 8;

__device__ float sum_of_warp(float value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(~0U, value, step);
  return value;
}

/// A warp a row.
template <class T>
__global__ void second_layer_kernel(DeviceRetainingHead<T> head, const float* hidden, Index rows,
                                    float* scores) {
  const Index row = static_cast<Index>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (row >= rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const float* from = hidden + row * head.hidden;
  for (Index first = 0; first < head.num_kv_heads; first += kHeadsAtOnce) {
    const Index heads = min(static_cast<Index>(kHeadsAtOnce), head.num_kv_heads - first);
    float sums[kHeadsAtOnce] = {};
    for (Index unit = lane; unit < head.hidden; unit += 32) {
      const float activation = silu(from[unit]);
#pragma unroll
      for (int h = 0; h < kHeadsAtOnce; ++h) {
        if (h < heads) {
          sums[h] += activation * static_cast<float>(head.fc2[(first + h) * head.hidden + unit]);
        }
      }
    }
#pragma unroll
    for (int h = 0; h < kHeadsAtOnce; ++h) {
      const float sum = sum_of_warp(sums[h]);
      if (lane == 0 && h < heads) scores[row * head.num_kv_heads + first + h] = sum;
    }
  }
}

/// A block a KV head, a thread an element.
template <class T>
__global__ void mean_query_kernel(DeviceHeads<const T> query, Index group, float* mean_query) {
  const Index kv_head = blockIdx.x, element = threadIdx.x;
  float sum = 0;
  for (Index head = kv_head * group; head < (kv_head + 1) * group; ++head) {
    for (Index row = 0; row < query.rows; ++row) {
      sum += static_cast<float>(
          query.data[row * query.row_stride + head * query.head_stride + element]);
    }
  }
  mean_query[kv_head * query.head_dim + element] = sum / static_cast<float>(query.rows * group);
}

/// A warp a (row, KV head): heads count fastest, so that neighbours read neighbours.
template <class T>
__global__ void query_aware_kernel(DeviceHeads<const T> key, const float* mean_query,
                                   float* scores) {
  const Index pair = static_cast<Index>(blockIdx.x) * kWarps + threadIdx.x / 32;
  if (pair >= key.rows * key.heads) return;
  const Index row = pair / key.heads, head = pair % key.heads;
  const T* from = key.data + row * key.row_stride + head * key.head_stride;
  const float* mean = mean_query + head * key.head_dim;
  float dot = 0;
  for (Index i = threadIdx.x % 32; i < key.head_dim; i += 32) {
    dot += mean[i] * static_cast<float>(from[i]);
  }
  dot = sum_of_warp(dot);
  if (threadIdx.x % 32 == 0) scores[pair] = dot;
}

/// A thread a score.
__global__ void query_free_kernel(QueryFreeBlock block, float* scores) {
  const Index pair = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (pair >= block.rows * block.num_kv_heads) return;
  const Index head = pair % block.num_kv_heads;
  const Index doc_pos = block.first_doc_pos + pair / block.num_kv_heads;
  if (block.compressor == Compressor::kRecent) {
    scores[pair] = static_cast<float>(doc_pos);
    return;
  }
  std::uint64_t bits = mix(block.seed);
  bits = mix(bits ^ static_cast<std::uint64_t>(block.layer));
  bits = mix(bits ^ static_cast<std::uint64_t>(head));
  bits = mix(bits ^ static_cast<std::uint64_t>(doc_pos));
  scores[pair] = static_cast<float>(static_cast<double>(bits >> 11U) * 0x1.0p-53);
}

/// Thread blocks for `count` pieces of work, `each` a block.
unsigned blocks(Index count, int each) {
  return static_cast<unsigned>((count + each - 1) / each);
}

}  // namespace

template <class T>
void launch_second_layer(const DeviceRetainingHead<T>& head, const float* hidden, Index rows,
                         float* scores, cudaStream_t stream) {
  second_layer_kernel<T><<<blocks(rows, kWarps), kThreads, 0, stream>>>(head, hidden, rows, scores);
  check_launch();
}

template <class T>
void launch_mean_query(const DeviceHeads<const T>& score_query, Index num_kv_heads,
                       float* mean_query, cudaStream_t stream) {
  mean_query_kernel<T>
      <<<static_cast<unsigned>(num_kv_heads), static_cast<unsigned>(score_query.head_dim), 0,
         stream>>>(score_query, score_query.heads / num_kv_heads, mean_query);
  check_launch();
}

template <class T>
void launch_query_aware(const DeviceHeads<const T>& block_key, const float* mean_query,
                        float* scores, cudaStream_t stream) {
  query_aware_kernel<T><<<blocks(block_key.rows * block_key.heads, kWarps), kThreads, 0, stream>>>(
      block_key, mean_query, scores);
  check_launch();
}

void launch_query_free(const QueryFreeBlock& block, float* scores, cudaStream_t stream) {
  query_free_kernel<<<blocks(block.rows * block.num_kv_heads, kThreads), kThreads, 0, stream>>>(
      block, scores);
  check_launch();
}

template void launch_second_layer(const DeviceRetainingHead<Bfloat16>&, const float*, Index, float*,
                                  cudaStream_t);
template void launch_second_layer(const DeviceRetainingHead<Float16>&, const float*, Index, float*,
                                  cudaStream_t);
template void launch_mean_query(const DeviceHeads<const Bfloat16>&, Index, float*, cudaStream_t);
template void launch_mean_query(const DeviceHeads<const Float16>&, Index, float*, cudaStream_t);
template void launch_query_aware(const DeviceHeads<const Bfloat16>&, const float*, float*,
                                 cudaStream_t);
template void launch_query_aware(const DeviceHeads<const Float16>&, const float*, float*,
                                 cudaStream_t);

}  // namespace apb::cuda
