#pragma once
/// \file
/// Which GPU a process of a run takes.

#include "reference/core/communicator.hpp"

namespace apb::cuda {

/// Makes a GPU current: `index` modulo the GPUs that this process sees.
/// \throws CannotRun if there is none, saying why
void choose_gpu(int index);

/// The same for a rank of a run: ranks of a machine take its GPUs in turn; a rank that was given
/// one for itself (by a scheduler) takes that. Where ranks share a GPU after all, NCCL is told that
/// they are on different machines (NCCL_HOSTID) and to use sockets of this one, because it refuses
/// two ranks on a GPU; settings of the user's own stay. Before NCCL is used. Collective. \returns
/// whether ranks share a GPU \throws CannotRun if there is no GPU, saying why
bool choose_gpu(Communicator& world);

}  // namespace apb::cuda
