#pragma once
/// \file
/// The merge kernel, behind checks of what it is given.

#include "cuda/decode/merge_partials.hpp"

namespace apb::cuda {

/// Enqueues the kernel; there is at least one part and one row.
template <class Out>
void launch_merge(const float* parts, Index num_parts, const PartialShape& shape, Out* out,
                  float* lse, cudaStream_t stream);

}  // namespace apb::cuda
