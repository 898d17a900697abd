#pragma once
/// \file
/// Fills the L2 cache with memory that nobody needs.

#include <cstdint>

#include "cuda/device_buffer.hpp"

namespace apb::cuda {

/// Enqueues a kernel that reads the whole buffer.
void read_all(const DeviceBuffer<std::uint32_t>& memory, cudaStream_t stream);

}  // namespace apb::cuda
