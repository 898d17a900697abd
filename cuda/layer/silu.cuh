#pragma once
// silu, which feed-forward networks and retaining heads share.

namespace apb::cuda {

/// x / (1 + exp(-x)); 0 for -inf.
__device__ inline float silu(float x) {
  return x == -INFINITY ? 0 : x / (1 + expf(-x));
}

}  // namespace apb::cuda
