#include "cuda/decode/merge_kernel.hpp"

#include "cuda/check.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

__device__ float max_of_lanes(float value) {
  for (int step = 16; step > 0; step /= 2) {
    value = fmaxf(value, __shfl_xor_sync(~0U, value, step));
  }
  return value;
}

/// A warp has one row and head: first a lane a part, for the weights; then 4 elements a lane, part
/// by part in their order. It reads every lse before it writes its own, and no other warp reads
/// what it writes: so the result may lie where one of the parts does.
template <class Out>
__global__ void merge_kernel(const float* parts, Index num_parts, PartialShape shape, Out* out,
                             float* lse) {
  constexpr int kElements = 4;
  const Index pair = static_cast<Index>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (pair >= shape.rows * shape.num_q_heads) return;
  const auto lse_of = [&](Index part) {
    return part < num_parts ? parts[part * shape.size() + shape.out_size() + pair] : -INFINITY;
  };
  float max = -INFINITY;
  for (Index part = lane; part < num_parts; part += 32) max = fmaxf(max, lse_of(part));
  max = max_of_lanes(max);
  const float shift = max == -INFINITY ? 0 : max;

  float weight_sum = 0;
  for (Index first_element = 0; first_element < shape.head_dim; first_element += 32 * kElements) {
    float sum[kElements] = {};
    weight_sum = 0;
    for (Index first_part = 0; first_part < num_parts; first_part += 32) {
      const float own_weight = expf(lse_of(first_part + lane) - shift);
      const int here = static_cast<int>(min(num_parts - first_part, Index{32}));
#pragma unroll 8
      for (int i = 0; i < here; ++i) {
        const float weight = __shfl_sync(~0U, own_weight, i);
        weight_sum += weight;
        const float* from = parts + (first_part + i) * shape.size() + pair * shape.head_dim;
#pragma unroll
        for (int e = 0; e < kElements; ++e) {
          const Index element = first_element + 32 * e + lane;
          // An empty part's out may hold anything, and is not read.
          if (weight != 0 && element < shape.head_dim) sum[e] += weight * from[element];
        }
      }
    }
#pragma unroll
    for (int e = 0; e < kElements; ++e) {
      const Index element = first_element + 32 * e + lane;
      if (element < shape.head_dim) {
        out[pair * shape.head_dim + element] =
            static_cast<Out>(weight_sum == 0 ? 0 : sum[e] / weight_sum);
      }
    }
  }
  __syncwarp();
  if (lane == 0) lse[pair] = weight_sum == 0 ? -INFINITY : shift + logf(weight_sum);
}

}  // namespace

template <class Out>
void launch_merge(const float* parts, Index num_parts, const PartialShape& shape, Out* out,
                  float* lse, cudaStream_t stream) {
  const Index blocks = (shape.rows * shape.num_q_heads + kWarps - 1) / kWarps;
  merge_kernel<<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(parts, num_parts, shape, out,
                                                                       lse);
  check_launch();
}

template void launch_merge(const float*, Index, const PartialShape&, float*, float*, cudaStream_t);
template void launch_merge(const float*, Index, const PartialShape&, Bfloat16*, float*,
                           cudaStream_t);
template void launch_merge(const float*, Index, const PartialShape&, Float16*, float*,
                           cudaStream_t);

}  // namespace apb::cuda
