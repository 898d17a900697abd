#include "cuda/decode/merge_kernel.hpp"

#include "cuda/check.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

/// A thread block has one row and head, each of its warps every fourth part. It reads all that it
/// needs before it writes, and no other block reads what it writes: so the result may lie where one
/// of the parts does. Sums run in a fixed order.
template <class Out>
__global__ void merge_kernel(const float* parts, Index num_parts, PartialShape shape, Out* out,
                             float* lse) {
  extern __shared__ float sums[];  // [kWarps, head_dim]
  __shared__ float warp_max[kWarps], warp_weights[kWarps];
  const Index pair = blockIdx.x;
  const int head_dim = static_cast<int>(shape.head_dim);
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const float* first_lse = parts + shape.out_size() + pair;

  float max = -INFINITY;
  for (Index part = threadIdx.x; part < num_parts; part += kThreads) {
    max = fmaxf(max, first_lse[part * shape.size()]);
  }
  for (int step = 16; step > 0; step /= 2) max = fmaxf(max, __shfl_xor_sync(~0U, max, step));
  if (lane == 0) warp_max[warp] = max;
  __syncthreads();
  for (const float its : warp_max) max = fmaxf(max, its);
  const float shift = max == -INFINITY ? 0 : max;

  for (int element = lane; element < head_dim; element += 32) {
    float sum = 0, weights = 0;
#pragma unroll 8
    for (Index part = warp; part < num_parts; part += kWarps) {
      const float weight = expf(first_lse[part * shape.size()] - shift);
      const float value = parts[part * shape.size() + pair * head_dim + element];
      weights += weight;
      sum += weight == 0 ? 0 : weight * value;  // an empty part's out may hold anything
    }
    sums[warp * head_dim + element] = sum;
    if (element == 0) warp_weights[warp] = weights;
  }
  __syncthreads();
  float weights = 0;
  for (const float its : warp_weights) weights += its;
  for (int element = static_cast<int>(threadIdx.x); element < head_dim; element += kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += sums[w * head_dim + element];
    out[pair * head_dim + element] = static_cast<Out>(weights == 0 ? 0 : sum / weights);
  }
  if (threadIdx.x == 0) lse[pair] = weights == 0 ? -INFINITY : shift + logf(weights);
}

}  // namespace

template <class Out>
void launch_merge(const float* parts, Index num_parts, const PartialShape& shape, Out* out,
                  float* lse, cudaStream_t stream) {
  const Index blocks = shape.rows * shape.num_q_heads;
  const auto bytes = sizeof(float) * kWarps * static_cast<std::size_t>(shape.head_dim);
  merge_kernel<<<static_cast<unsigned>(blocks), kThreads, bytes, stream>>>(parts, num_parts, shape,
                                                                           out, lse);
  check_launch();
}

template void launch_merge(const float*, Index, const PartialShape&, float*, float*, cudaStream_t);
template void launch_merge(const float*, Index, const PartialShape&, Bfloat16*, float*,
                           cudaStream_t);
template void launch_merge(const float*, Index, const PartialShape&, Float16*, float*,
                           cudaStream_t);

}  // namespace apb::cuda
