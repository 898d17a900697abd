#pragma once
/// \file
/// A process a rank, exchanging by NCCL.

#include <memory>

#include "cuda/comm/device_communicator.hpp"
#include "reference/core/communicator.hpp"

namespace apb::cuda {

/// Joins this process, and the GPU that is current in it, to all others of `world`. Rank 0's unique
/// id reaches them by a broadcast of `world`; ranks are the same. Collective.
///
/// NVLink multicast is left off unless NCCL_NVLS_ENABLE says otherwise. Ranks that share a GPU need
/// an NCCL_HOSTID each.
/// \throws LibraryError with NCCL's words
[[nodiscard]] std::unique_ptr<DeviceCommunicator> nccl_communicator(Communicator& world);

}  // namespace apb::cuda
