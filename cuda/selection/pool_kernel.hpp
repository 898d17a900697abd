#pragma once
/// \file
/// The pooling kernel, behind checks of what it is given.

#include "cuda/selection/pool_importance.hpp"

namespace apb::cuda {

/// Enqueues the kernel; there is at least one score.
template <class Score>
void launch_pool(const Pooling<Score>& pooling, cudaStream_t stream);

}  // namespace apb::cuda
