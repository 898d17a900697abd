#pragma once
/// \file
/// The one way in which results of CUDA calls are looked at. Apart from error.hpp, so that kernels
/// are compiled without what formats the message.

#include <cuda_runtime_api.h>

#include <source_location>

namespace apb::cuda {

/// \throws CudaError unless status is cudaSuccess
void check(cudaError_t status, const std::source_location& where = std::source_location::current());

/// To be called right after a kernel was launched. Waits for nothing: what goes wrong while the
/// kernel runs is thrown by a later call, as CUDA has it.
/// \throws CudaError if the launch was refused
inline void check_launch(const std::source_location& where = std::source_location::current()) {
  check(cudaGetLastError(), where);
}

}  // namespace apb::cuda
