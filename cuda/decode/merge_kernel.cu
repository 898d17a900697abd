#include "cuda/decode/merge_kernel.hpp"

#include "cuda/check.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

/// A warp has one row and head. It reads every part's lse before it writes its own, and no other
/// warp reads what it writes: so the result may lie where one of the parts does.
template <class Out>
__global__ void merge_kernel(const float* parts, Index num_parts, PartialShape shape, Out* out,
                             float* lse) {
  const Index pair = static_cast<Index>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if (pair >= shape.rows * shape.num_q_heads) return;
  const auto lse_of = [&](Index part) {
    return parts[part * shape.size() + shape.out_size() + pair];
  };
  float max = -INFINITY;
  for (Index part = 0; part < num_parts; ++part) max = fmaxf(max, lse_of(part));
  const float shift = max == -INFINITY ? 0 : max;
  float weight_sum = 0;
  for (Index part = 0; part < num_parts; ++part) weight_sum += expf(lse_of(part) - shift);

  for (Index i = lane; i < shape.head_dim; i += 32) {
    float sum = 0;
    for (Index part = 0; part < num_parts; ++part) {
      const float its_lse = lse_of(part);
      if (its_lse == -INFINITY) continue;
      sum += expf(its_lse - shift) * parts[part * shape.size() + pair * shape.head_dim + i];
    }
    out[pair * shape.head_dim + i] = static_cast<Out>(weight_sum == 0 ? 0 : sum / weight_sum);
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
