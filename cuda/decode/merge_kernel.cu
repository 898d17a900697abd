#include "cuda/decode/merge_kernel.hpp"

#include "cuda/check.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kElements = 4;  ///< of a lane, read at the same time

/// A thread block has one row and head, each of its warps every kWarps-th part. It reads all that
/// it needs before it writes, and no other block reads what it writes: so the result may lie where
/// one of the parts does. Sums run in a fixed order.
template <class Out>
__global__ void merge_kernel(const float* parts, int num_parts, PartialShape shape, Out* out,
                             float* lse) {
  extern __shared__ float room[];
  float* weight_of = room;         // [num_parts]
  float* sums = room + num_parts;  // [kWarps, head_dim]
  __shared__ float warp_max[kWarps], warp_weights[kWarps];
  const Index pair = blockIdx.x;
  const int head_dim = static_cast<int>(shape.head_dim), thread = static_cast<int>(threadIdx.x);
  const int lane = thread % 32, warp = thread / 32;

  float max = -INFINITY;
  for (int part = thread; part < num_parts; part += kThreads) {
    weight_of[part] = parts[part * shape.size() + shape.out_size() + pair];
    max = fmaxf(max, weight_of[part]);
  }
  for (int step = 16; step > 0; step /= 2) max = fmaxf(max, __shfl_xor_sync(~0U, max, step));
  if (lane == 0) warp_max[warp] = max;
  __syncthreads();
  for (const float its : warp_max) max = fmaxf(max, its);
  const float shift = max == -INFINITY ? 0 : max;
  for (int part = thread; part < num_parts; part += kThreads) {
    weight_of[part] = expf(weight_of[part] - shift);
  }
  __syncthreads();

  for (int element = lane; element < head_dim; element += 32 * kElements) {
    float sum[kElements] = {}, weights = 0;
#pragma unroll 4
    for (int part = warp; part < num_parts; part += kWarps) {
      const float* from = parts + part * shape.size() + pair * head_dim + element;
      float value[kElements];
#pragma unroll
      for (int e = 0; e < kElements; ++e) {
        value[e] = element + 32 * e < head_dim ? from[32 * e] : 0;
      }
      const float weight = weight_of[part];
      weights += weight;
#pragma unroll
      for (int e = 0; e < kElements; ++e) {  // an empty part's out may hold anything
        sum[e] += weight == 0 ? 0 : weight * value[e];
      }
    }
#pragma unroll
    for (int e = 0; e < kElements; ++e) {
      if (element + 32 * e < head_dim) sums[warp * head_dim + element + 32 * e] = sum[e];
    }
    if (element == 0) warp_weights[warp] = weights;
  }
  __syncthreads();
  float weights = 0;
  for (const float its : warp_weights) weights += its;
  for (int element = thread; element < head_dim; element += kThreads) {
    float sum = 0;
    for (int w = 0; w < kWarps; ++w) sum += sums[w * head_dim + element];
    out[pair * head_dim + element] = static_cast<Out>(weights == 0 ? 0 : sum / weights);
  }
  if (thread == 0) lse[pair] = weights == 0 ? -INFINITY : shift + logf(weights);
}

}  // namespace

template <class Out>
void launch_merge(const float* parts, Index num_parts, const PartialShape& shape, Out* out,
                  float* lse, cudaStream_t stream) {
  const Index blocks = shape.rows * shape.num_q_heads;
  const auto bytes = sizeof(float) * static_cast<std::size_t>(num_parts + kWarps * shape.head_dim);
  const auto kernel = merge_kernel<Out>;
  check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(bytes)));
  kernel<<<static_cast<unsigned>(blocks), kThreads, bytes, stream>>>(
      parts, static_cast<int>(num_parts), shape, out, lse);
  check_launch();
}

template void launch_merge(const float*, Index, const PartialShape&, float*, float*, cudaStream_t);
template void launch_merge(const float*, Index, const PartialShape&, Bfloat16*, float*,
                           cudaStream_t);
template void launch_merge(const float*, Index, const PartialShape&, Float16*, float*,
                           cudaStream_t);

}  // namespace apb::cuda
