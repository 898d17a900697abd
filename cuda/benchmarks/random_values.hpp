#pragma once
/// \file
/// Random inputs for benchmarks, made on the device.

#include <cuda_runtime_api.h>

#include <cstdint>

#include "cuda/device_heads.hpp"

namespace apb::cuda {

/// Enqueues normally distributed values of mean 0: the same for the same seed, whatever the device.
/// T is Bfloat16.
/// \param first values are those that stand from here on in an endless row of them
template <class T>
void fill_normal(T* values, Index count, double deviation, std::uint64_t seed, cudaStream_t stream,
                 Index first = 0);

}  // namespace apb::cuda
