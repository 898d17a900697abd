#include "cuda/device_buffer.hpp"

#include "cuda/error.hpp"

namespace apb::cuda {

void* allocate_device_memory(std::size_t bytes, const std::source_location& where) {
  void* memory = nullptr;
  if (bytes == 0) return memory;
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status != cudaErrorMemoryAllocation) {
    check(status, where);
    return memory;
  }
  (void)cudaGetLastError();
  std::size_t free_bytes = 0, total_bytes = 0;
  check(cudaMemGetInfo(&free_bytes, &total_bytes), where);
  throw CudaError(
      status, where,
      fmt::format(": {} bytes are wanted, {} of {} are free", bytes, free_bytes, total_bytes));
}

}  // namespace apb::cuda
