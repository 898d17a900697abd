#include "cuda/selection/pool_kernel.hpp"

#include "cuda/check.hpp"
#include "cuda/device_heads.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 256;

/// A thread an element.
template <class Score>
__global__ void max_pool_kernel(const __grid_constant__ Pooling<Score> pooling) {
  const Index element = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  const Index heads = pooling.num_kv_heads, row = element / heads;
  if (row >= pooling.rows) return;
  const Index reach = pooling.pool_kernel / 2;
  const Index begin = row > reach ? row - reach : 0;
  const Index end = min(row + reach + 1, pooling.rows);
  float max = pooling.scores[begin * heads + element % heads];
  for (Index near = begin + 1; near < end; ++near) {
    const float score = pooling.scores[near * heads + element % heads];
    if (score > max || isnan(score)) max = score;
  }
  pooling.importance[element] = static_cast<Score>(row < pooling.excluded ? -INFINITY : max);
}

}  // namespace

template <class Score>
void launch_pool(const Pooling<Score>& pooling, cudaStream_t stream) {
  const Index blocks = (pooling.rows * pooling.num_kv_heads + kThreads - 1) / kThreads;
  max_pool_kernel<Score><<<static_cast<unsigned>(blocks), kThreads, 0, stream>>>(pooling);
  check_launch();
}

template void launch_pool(const Pooling<float>&, cudaStream_t);
template void launch_pool(const Pooling<Bfloat16>&, cudaStream_t);
template void launch_pool(const Pooling<Float16>&, cudaStream_t);

}  // namespace apb::cuda
