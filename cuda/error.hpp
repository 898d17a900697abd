#pragma once
/// \file
/// What a failed call of CUDA or one of its libraries throws.

#include "cuda/check.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {

/// A CUDA call failed (exit 3). The line holds CUDA's own words and where the call stands.
class CudaError : public CannotRun {
 public:
  /// \param more what stands behind CUDA's words
  CudaError(cudaError_t status, const std::source_location& where, std::string_view more = {});
  [[nodiscard]] cudaError_t cuda_status() const { return cuda_status_; }

 private:
  cudaError_t cuda_status_;
};

/// A call of a library beside CUDA's runtime failed (exit 3): its words and where the call stands.
class LibraryError : public CannotRun {
 public:
  /// \param library "cuBLASLt" or "NCCL"
  LibraryError(std::string_view library, std::string_view words, const std::source_location& where);
};

}  // namespace apb::cuda
