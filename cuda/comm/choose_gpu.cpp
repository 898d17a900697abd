#include "cuda/comm/choose_gpu.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "cuda/check.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

/// What no two GPUs have in common, whichever machines they are in.
using GpuIdentity = std::array<char, sizeof(cudaUUID_t)>;

GpuIdentity identity_of_current() {
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device));
  check(cudaGetDeviceProperties(&properties, device));
  GpuIdentity identity{};
  std::memcpy(identity.data(), &properties.uuid, identity.size());
  return identity;
}

}  // namespace

void choose_gpu(int index) {
  int gpus = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&gpus); status != cudaSuccess) {
    throw CannotRun(
        fmt::format("there is no GPU here that CUDA can use ({})", cudaGetErrorString(status)));
  }
  check(cudaSetDevice(index % gpus));
}

bool choose_gpu(Communicator& world) {
  choose_gpu(world.rank());
  const GpuIdentity own = identity_of_current();
  const std::vector<std::size_t> counts(static_cast<std::size_t>(world.num_ranks()), 1);
  std::vector<GpuIdentity> all = world.all_gather<GpuIdentity>({&own, 1}, counts);
  std::sort(all.begin(), all.end());
  const bool shared = std::adjacent_find(all.begin(), all.end()) != all.end();
  if (shared) {
    setenv("NCCL_HOSTID", ("apb-rank-" + std::to_string(world.rank())).c_str(), 0);
    setenv("NCCL_SOCKET_IFNAME", "lo", 0);
    setenv("NCCL_IB_DISABLE", "1", 0);
  }
  return shared;
}

}  // namespace apb::cuda
