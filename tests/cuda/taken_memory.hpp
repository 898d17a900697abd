#pragma once
/// \file
/// A GPU whose memory is taken, for tests of what happens then.

#include <vector>

#include "cuda/device_buffer.hpp"
#include "cuda/error.hpp"

namespace apb {

inline constexpr std::size_t kMiB = std::size_t{1} << 20;

[[nodiscard]] inline std::size_t free_device_bytes() {
  std::size_t free = 0, total = 0;
  cuda::check(cudaMemGetInfo(&free, &total));
  return free;
}

/// Takes all device memory but `left_bytes` and less than another MiB.
[[nodiscard]] inline std::vector<cuda::DeviceBuffer<std::byte>> take_all_but(
    std::size_t left_bytes) {
  std::vector<cuda::DeviceBuffer<std::byte>> taken;
  for (std::size_t size = std::size_t{1} << 38; size >= kMiB; size /= 2) {
    while (free_device_bytes() >= left_bytes + size) {
      try {
        taken.emplace_back(size);
      } catch (const cuda::CudaError&) {
        break;  // not in one piece
      }
    }
  }
  return taken;
}

}  // namespace apb
