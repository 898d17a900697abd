// Attention of a few query rows over a cache, one piece of keys a thread block.
//
// Reading the keys is all that takes time, so tensor cores would not help: a group of lanes has a
// key, 8 elements a lane, and serves all query heads of the KV head with one read of it. Every
// group keeps its own online softmax over the keys it meets; the block puts the groups together at
// the end, in a fixed order.

#include "cuda/attention/tensor_core.cuh"
#include "cuda/check.hpp"
#include "cuda/decode/cache_kernel.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kUnrolled = 4;  ///< keys whose reads are on their way at the same time
constexpr float kLog2E = 1.4426950408889634F;

/// 8 elements of a row.
template <class T>
__device__ void unpack(const uint4& bits, float (&elements)[8]) {
  const std::uint32_t pairs[4] = {bits.x, bits.y, bits.z, bits.w};
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    const float2 pair = Element<T>::unpack(pairs[i]);
    elements[2 * i] = pair.x;
    elements[2 * i + 1] = pair.y;
  }
}

/// What a group of lanes has seen of one query head: each lane the same max and sum, and its own 8
/// elements of the output.
struct Seen {
  float max = -INFINITY, sum = 0;
  float out[8] = {};

  /// Where nothing but scores of -inf was seen, 0 instead, so that weights are never exp(inf -
  /// inf).
  __device__ static float shift(float max) { return max == -INFINITY ? 0 : max; }

  /// Adds keys whose scores are `score`; those that are not there have -inf and zero values.
  __device__ void add(const float (&score)[kUnrolled], const float (&value)[kUnrolled][8],
                      float scale_log2) {
    float new_max = max;
#pragma unroll
    for (const float its : score) new_max = fmaxf(new_max, its);
    const float factor = exp2_approx((max - shift(new_max)) * scale_log2);
    max = new_max;
    sum *= factor;
#pragma unroll
    for (float& element : out) element *= factor;
#pragma unroll
    for (int k = 0; k < kUnrolled; ++k) {
      const float weight = exp2_approx((score[k] - shift(new_max)) * scale_log2);
      sum += weight;
#pragma unroll
      for (int i = 0; i < 8; ++i) out[i] += weight * value[k][i];
    }
  }
};

/// Grid: (KV heads, pieces, rows x parts of kHeads query heads of a group). KV heads count fastest,
/// because keys of a row lie next to one another.
template <class T, int kHeadDim, int kHeads>
__global__ void __launch_bounds__(kThreads, kHeads <= 4 ? 4 : 2)
    cache_kernel(const __grid_constant__ CacheAttention<T> problem, float* partials) {
  constexpr int kLanes = kHeadDim / 8;  // of a group
  constexpr int kGroups = kThreads / kLanes;
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  const int group = static_cast<int>(threadIdx.x) / kLanes;
  const int heads_of_kv = static_cast<int>(problem.query.heads / problem.cache.key.heads);
  const int parts = (heads_of_kv + kHeads - 1) / kHeads;
  const Index row = blockIdx.z / parts;
  const int first_head = static_cast<int>(blockIdx.z) % parts * kHeads;  // in the group
  const int heads_here = min(kHeads, heads_of_kv - first_head);
  const Index kv_head = blockIdx.x;
  const Index q_head = kv_head * heads_of_kv + first_head;
  const float scale = static_cast<float>(problem.softmax_scale);

  float query[kHeads][8];
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    const Index head = q_head + min(h, heads_here - 1);
    const T* from = problem.query.data + row * problem.query.row_stride +
                    head * problem.query.head_stride + 8 * lane;
    unpack<T>(*reinterpret_cast<const uint4*>(from), query[h]);
  }

  const DeviceHeads<const T>&key = problem.cache.key, &value = problem.cache.value;
  const Index visible = problem.own_keys == 0 ? key.rows : key.rows - problem.own_keys + row + 1;
  const Index begin = blockIdx.y * kPieceKeys, end = min(begin + kPieceKeys, visible);
  Seen seen[kHeads];
  for (Index first = begin; first < end; first += kUnrolled * kGroups) {
    uint4 key_bits[kUnrolled], value_bits[kUnrolled];
#pragma unroll
    for (int k = 0; k < kUnrolled; ++k) {
      const Index at = first + k * kGroups + group;
      key_bits[k] = value_bits[k] = make_uint4(0, 0, 0, 0);
      if (at < end) {
        key_bits[k] = *reinterpret_cast<const uint4*>(key.data + at * key.row_stride +
                                                      kv_head * key.head_stride + 8 * lane);
        value_bits[k] = *reinterpret_cast<const uint4*>(value.data + at * value.row_stride +
                                                        kv_head * value.head_stride + 8 * lane);
      }
    }
    float score[kHeads][kUnrolled];
#pragma unroll
    for (int k = 0; k < kUnrolled; ++k) {
      float elements[8];
      unpack<T>(key_bits[k], elements);
      const bool is_there = first + k * kGroups + group < end;
#pragma unroll
      for (int h = 0; h < kHeads; ++h) {
        float dot = 0;
#pragma unroll
        for (int i = 0; i < 8; ++i) dot += query[h][i] * elements[i];
#pragma unroll
        for (int step = 1; step < kLanes; step *= 2) dot += __shfl_xor_sync(~0U, dot, step);
        score[h][k] = is_there ? dot : -INFINITY;
      }
    }
    float values[kUnrolled][8];
#pragma unroll
    for (int k = 0; k < kUnrolled; ++k) unpack<T>(value_bits[k], values[k]);
#pragma unroll
    for (int h = 0; h < kHeads; ++h) seen[h].add(score[h], values, scale * kLog2E);
  }

  // All groups' outputs, then one thread an element.
  __shared__ float all_max[kGroups][kHeads], all_sums[kGroups][kHeads];
  __shared__ float all_out[kGroups][kHeads][kHeadDim];
#pragma unroll
  for (int h = 0; h < kHeads; ++h) {
    all_max[group][h] = seen[h].max;
    all_sums[group][h] = seen[h].sum;
#pragma unroll
    for (int i = 0; i < 8; ++i) all_out[group][h][8 * lane + i] = seen[h].out[i];
  }
  __syncthreads();
  const PartialShape shape{problem.query.rows, problem.query.heads, problem.query.head_dim};
  float* partial = partials + blockIdx.y * shape.size();
  for (int element = static_cast<int>(threadIdx.x); element < heads_here * kHeadDim;
       element += kThreads) {
    const int h = element / kHeadDim, i = element % kHeadDim;
    float max = -INFINITY, sum = 0, out = 0;
    for (int g = 0; g < kGroups; ++g) max = fmaxf(max, all_max[g][h]);
    for (int g = 0; g < kGroups; ++g) {
      const float factor = exp2_approx((all_max[g][h] - Seen::shift(max)) * (scale * kLog2E));
      sum += factor * all_sums[g][h];
      out += factor * all_out[g][h][i];
    }
    const Index pair = row * shape.num_q_heads + q_head + h;
    partial[pair * kHeadDim + i] = sum == 0 ? 0 : out / sum;
    if (i == 0) {
      partial[shape.out_size() + pair] = sum == 0 ? -INFINITY : max * scale + logf(sum);
    }
  }
}

}  // namespace

template <class T, int kHeadDim>
void launch_cache_attention(const CacheAttention<T>& problem, float* partials,
                            cudaStream_t stream) {
  const Index heads_of_kv = problem.query.heads / problem.cache.key.heads;
  const auto launch = [&](auto kernel, Index heads) {
    const Index parts = (heads_of_kv + heads - 1) / heads;
    const dim3 grid(static_cast<unsigned>(problem.cache.key.heads),
                    static_cast<unsigned>(num_pieces(problem.cache.key.rows)),
                    static_cast<unsigned>(problem.query.rows * parts));
    kernel<<<grid, kThreads, 0, stream>>>(problem, partials);
    check_launch();
  };
  if (heads_of_kv == 1) {
    launch(cache_kernel<T, kHeadDim, 1>, 1);
  } else if (heads_of_kv <= 4) {
    launch(cache_kernel<T, kHeadDim, 4>, 4);
  } else {
    launch(cache_kernel<T, kHeadDim, 8>, 8);
  }
}

template void launch_cache_attention<Bfloat16, 64>(const CacheAttention<Bfloat16>&, float*,
                                                   cudaStream_t);
template void launch_cache_attention<Bfloat16, 128>(const CacheAttention<Bfloat16>&, float*,
                                                    cudaStream_t);
template void launch_cache_attention<Float16, 64>(const CacheAttention<Float16>&, float*,
                                                  cudaStream_t);
template void launch_cache_attention<Float16, 128>(const CacheAttention<Float16>&, float*,
                                                   cudaStream_t);

}  // namespace apb::cuda
