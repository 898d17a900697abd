#pragma once
/// \file
/// All ranks on one GPU, in one process: the GPU path's own reference, and what a machine with one
/// GPU can run. Each rank is a thread, but only one runs at a time: a rank works until it needs
/// another one, then the next has its turn. So the ranks' work never overlaps on the GPU.

#include <functional>

#include "cuda/comm/device_communicator.hpp"

namespace apb::cuda {

/// Calls `work` once per rank and returns when all are done. A rank's exchange waits until the GPU
/// has done what the partners have given it.
/// \throws what the first rank threw that threw; the others are woken up and end
void run_loopback_ranks(int num_ranks, const std::function<void(DeviceCommunicator&)>& work);

}  // namespace apb::cuda
