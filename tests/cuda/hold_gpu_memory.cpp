// Holds device memory for a test of other programs. For every number of MiB on standard input it
// lets go of all, takes all but so much, and prints how many MiB are free then. Ends with its
// input.

#include <cstdio>
#include <exception>

#include "tests/cuda/taken_memory.hpp"

int main() {
  try {
    std::size_t left = 0;
    std::vector<apb::cuda::DeviceBuffer<std::byte>> held;
    while (std::scanf("%zu", &left) == 1) {
      held.clear();
      held = apb::take_all_but(left * apb::kMiB);
      std::printf("%zu\n", apb::free_device_bytes() / apb::kMiB);
      std::fflush(stdout);
    }
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "hold_gpu_memory: %s\n", error.what());
    return 3;
  }
}
