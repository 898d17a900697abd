#include "cuda/comm/choose_gpu.hpp"

#include <cstdlib>
#include <string>

#include "cuda/check.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {

void choose_gpu(int rank, int ranks_on_node) {
  int gpus = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&gpus); status != cudaSuccess) {
    throw CannotRun(
        fmt::format("there is no GPU here that CUDA can use ({})", cudaGetErrorString(status)));
  }
  check(cudaSetDevice(rank % gpus));
  if (ranks_on_node <= gpus) return;
  setenv("NCCL_HOSTID", ("apb-rank-" + std::to_string(rank)).c_str(), 0);
  setenv("NCCL_SOCKET_IFNAME", "lo", 0);
  setenv("NCCL_IB_DISABLE", "1", 0);
}

}  // namespace apb::cuda
