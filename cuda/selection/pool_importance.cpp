#include "cuda/selection/pool_importance.hpp"

#include "cuda/device_heads.hpp"
#include "cuda/selection/pool_kernel.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {

template <class Score>
void pool_importance(const Pooling<Score>& pooling, cudaStream_t stream) {
  if (pooling.pool_kernel < 1 || pooling.pool_kernel % 2 == 0) {
    throw BadInput("cuda selection", "pool_kernel", pooling.pool_kernel, "odd and positive");
  }
  const Index elements = pooling.rows * pooling.num_kv_heads;
  constexpr Index kMost = Index{1} << 38;
  if (elements < 0 || elements > kMost) {
    throw BadInput("cuda selection", "scores", elements, fmt::format("0 to {}", kMost));
  }
  if (elements > 0) launch_pool(pooling, stream);
}

template void pool_importance(const Pooling<float>&, cudaStream_t);
template void pool_importance(const Pooling<Bfloat16>&, cudaStream_t);
template void pool_importance(const Pooling<Float16>&, cudaStream_t);

}  // namespace apb::cuda
