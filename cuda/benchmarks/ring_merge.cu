#include "cuda/benchmarks/ring_merge.hpp"
#include "cuda/check.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

/// A warp a pair of row and head.
__global__ void merge_kernel(const Bfloat16* step_out, const float* step_lse, Index pairs,
                             int head_dim, bool first, RingSums sums) {
  const Index pair = static_cast<Index>(blockIdx.x) * kWarps + threadIdx.x / 32;
  const int lane = static_cast<int>(threadIdx.x % 32);
  if (pair >= pairs) return;
  const float before = first ? -INFINITY : sums.lse[pair], more = step_lse[pair];
  const float largest = fmaxf(before, more);
  const float shift = largest == -INFINITY ? 0 : largest;
  const float old_weight = expf(before - shift), new_weight = expf(more - shift);
  const float all = old_weight + new_weight;
  for (int e = lane; e < head_dim; e += 32) {
    const Index at = pair * head_dim + e;
    const float old_part = old_weight == 0 ? 0 : old_weight * sums.out[at];
    const float new_part = new_weight == 0 ? 0 : new_weight * static_cast<float>(step_out[at]);
    sums.out[at] = all == 0 ? 0 : (old_part + new_part) / all;
  }
  __syncwarp();
  if (lane == 0) sums.lse[pair] = all == 0 ? -INFINITY : shift + logf(all);
}

__global__ void round_kernel(const float* sums, Index count, Bfloat16* out) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i < count) out[i] = static_cast<Bfloat16>(sums[i]);
}

}  // namespace

void merge_step(const Bfloat16* step_out, const float* step_lse, Index pairs, Index head_dim,
                bool first, const RingSums& sums, cudaStream_t stream) {
  if (pairs == 0) return;
  const auto blocks = static_cast<unsigned>((pairs + kWarps - 1) / kWarps);
  merge_kernel<<<blocks, kThreads, 0, stream>>>(step_out, step_lse, pairs,
                                                static_cast<int>(head_dim), first, sums);
  check_launch();
}

void round_sums(const float* sums, Index count, Bfloat16* out, cudaStream_t stream) {
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  round_kernel<<<blocks, kThreads, 0, stream>>>(sums, count, out);
  check_launch();
}

}  // namespace apb::cuda
