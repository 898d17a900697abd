#pragma once
/// \file
/// All ranks in one process: a thread per rank, messages copied through shared memory. No MPI.

#include <functional>

#include "reference/core/communicator.hpp"

namespace apb {

/// Runs `work` once per rank, each in a thread of its own with its own communicator, and waits.
/// If a rank throws, ranks that wait for it are woken, and its exception is rethrown here.
/// \param num_ranks        at least 1
/// \param threads_per_rank threads that each rank starts with
void run_local_ranks(int num_ranks, int threads_per_rank,
                     const std::function<void(Communicator&)>& work);

}  // namespace apb
