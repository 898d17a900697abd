#pragma once
/// \file
/// Which GPU a process of a run takes.

namespace apb::cuda {

/// Makes a GPU current: ranks of a machine take its GPUs in turn. Where ranks share one, NCCL is
/// told that they are on different machines (NCCL_HOSTID) and to use sockets of this one, because
/// it refuses two ranks on a GPU; settings of the user's own stay. Before NCCL is used.
/// \param ranks_on_node ranks of the run on this machine
/// \throws CannotRun if there is no GPU, saying why
void choose_gpu(int rank, int ranks_on_node);

}  // namespace apb::cuda
