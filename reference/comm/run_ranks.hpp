#pragma once
/// \file
/// Runs the same work on every rank, whatever carries their messages.

#include <functional>

#include "reference/comm/agreement.hpp"
#include "reference/core/communicator.hpp"
#include "reference/core/error.hpp"

namespace apb {

enum class Transport {
  kLocal,  ///< all ranks in this process, a thread each
  kMpi,    ///< this process is one rank of an MPI run
};

/// How a process of an MPI run makes known that the run cannot go on.
struct RunEnding {
  std::function<int(ExitStatus)> exit_code;          ///< what a status becomes
  std::function<void(const std::string& line)> say;  ///< tells the user why
};

/// Runs `work` on all ranks (kLocal) or as this process's rank (kMpi), and returns rank 0's status
/// on every rank. An MPI run begins with agree(); after it, a rank that throws prints why and ends
/// all ranks.
/// \param num_ranks with kMpi it must be the size of the run
/// \throws what a local rank threw; if a rank of an MPI run cannot take part (also because the run
///         has another size), an Error on every rank, of which all has been said
[[nodiscard]] ExitStatus run_ranks(Transport transport, int num_ranks, const RunEnding& ending,
                                   const std::function<ExitStatus(const RankEnvironment&)>& work);

/// For a process of an MPI run that has failed before run_ranks(), and before MPI started: takes
/// part in the agreement with which the others' run_ranks() begins, so that all end.
/// \returns the status with which all end
[[nodiscard]] ExitStatus fail_before_the_run(const Failure& own, const RunEnding& ending);

}  // namespace apb
