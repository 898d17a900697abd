#include "cuda/error.hpp"

#include <fmt/format.h>

namespace apb::cuda {

CudaError::CudaError(cudaError_t status, const std::source_location& where)
    : CannotRun(fmt::format("CUDA: {} ({}) at {}:{}, in {}", cudaGetErrorString(status),
                            cudaGetErrorName(status), where.file_name(), where.line(),
                            where.function_name())),
      cuda_status_(status) {}

void check(cudaError_t status, const std::source_location& where) {
  if (status != cudaSuccess) throw CudaError(status, where);
}

}  // namespace apb::cuda
