#include "cuda/tools/bench/versions.hpp"

#include <cublasLt.h>
#include <cuda_runtime_api.h>
#include <fmt/core.h>

#include <chrono>
#include <ctime>
#include <fstream>

#include "cuda/check.hpp"

namespace apb::cuda {

std::string versions() {
  std::string driver;
  std::ifstream("/sys/module/nvidia/version") >> driver;
  int runtime = 0;
  check(cudaRuntimeGetVersion(&runtime));
  const std::size_t blas = cublasLtGetVersion();
  return fmt::format("{}CUDA {}.{}, cuBLASLt {}.{}.{}",
                     driver.empty() ? "" : fmt::format("driver {}, ", driver), runtime / 1000,
                     runtime % 1000 / 10, blas / 10000, blas / 100 % 100, blas % 100);
}

std::string today() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

}  // namespace apb::cuda
