#pragma once
/// \file
/// What a failed CUDA call throws.

#include "cuda/check.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {

/// A CUDA call failed (exit 3). The line holds CUDA's own words and where the call stands.
class CudaError : public CannotRun {
 public:
  CudaError(cudaError_t status, const std::source_location& where);
  [[nodiscard]] cudaError_t cuda_status() const { return cuda_status_; }

 private:
  cudaError_t cuda_status_;
};

}  // namespace apb::cuda
