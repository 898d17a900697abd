#include "cuda/error.hpp"

#include <fmt/format.h>

namespace apb::cuda {
namespace {

std::string line(std::string_view library, std::string_view words,
                 const std::source_location& where) {
  return fmt::format("{}: {} at {}:{}, in {}", library, words, where.file_name(), where.line(),
                     where.function_name());
}

}  // namespace

CudaError::CudaError(cudaError_t status, const std::source_location& where, std::string_view more)
    : CannotRun(
          line("CUDA",
               fmt::format("{} ({}){}", cudaGetErrorString(status), cudaGetErrorName(status), more),
               where)),
      cuda_status_(status) {}

LibraryError::LibraryError(std::string_view library, std::string_view words,
                           const std::source_location& where)
    : CannotRun(line(library, words, where)) {}

void check(cudaError_t status, const std::source_location& where) {
  if (status == cudaSuccess) return;
  (void)cudaGetLastError();  // said here; else the next launch would be blamed for it
  throw CudaError(status, where);
}

}  // namespace apb::cuda
