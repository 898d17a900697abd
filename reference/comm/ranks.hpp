#pragma once
/// \file
/// Runs the same work on every rank, whatever carries their messages.

#include <functional>

#include "reference/core/communicator.hpp"
#include "reference/core/error.hpp"

namespace apb {

enum class Transport {
  kLocal,  ///< all ranks in this process, a thread each
  kMpi,    ///< this process is one rank of an MPI run
};

/// Runs `work` on all ranks (kLocal) or as this process's rank (kMpi), and returns rank 0's status
/// on every rank. In an MPI run a rank that throws prints why and ends all ranks.
/// \param num_ranks  with kMpi it must be the size of the run
/// \param exit_code  what a process's exit code is made of when a rank ends the run
/// \throws what a local rank threw; BadInput if the MPI run has another size
[[nodiscard]] ExitStatus run_ranks(Transport transport, int num_ranks,
                                   const std::function<int(ExitStatus)>& exit_code,
                                   const std::function<ExitStatus(const RankEnvironment&)>& work);

}  // namespace apb
