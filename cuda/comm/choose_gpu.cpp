#include "cuda/comm/choose_gpu.hpp"

#include <cstdlib>
#include <string>

#include "cuda/check.hpp"

namespace apb::cuda {

void choose_gpu(int rank, int ranks_on_node) {
  int gpus = 0;
  check(cudaGetDeviceCount(&gpus));
  check(cudaSetDevice(rank % gpus));
  if (ranks_on_node <= gpus) return;
  setenv("NCCL_HOSTID", ("apb-rank-" + std::to_string(rank)).c_str(), 0);
  setenv("NCCL_SOCKET_IFNAME", "lo", 0);
  setenv("NCCL_IB_DISABLE", "1", 0);
}

}  // namespace apb::cuda
