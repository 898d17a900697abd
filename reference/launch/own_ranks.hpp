#pragma once
/// \file
/// Ranks that a command starts itself: the same program again, under mpiexec, on this machine.

#include <nlohmann/json.hpp>
#include <string>

#include "reference/core/error.hpp"

namespace apb {

/// Starts this program again as MPI ranks, hands on what they write to standard output, and waits.
/// No process of the run is left when it returns, or when this process ends in any other way.
/// \param job what rank 0 gets from receive_job()
/// \returns rank 0's status
/// \throws CannotRun if a rank died, or mpiexec ended before rank 0 had finished (told to end, it
/// may
///         end with 0), or the ranks do not find together within twenty seconds and
///         one a rank (a limit on processes leaves mpiexec waiting for ever), or standard output
///         cannot be written
[[nodiscard]] ExitStatus run_own_ranks(int num_ranks, const nlohmann::json& job);

/// Whether this process was started by run_own_ranks().
/// \throws CannotRun if the environment says so and it cannot be
[[nodiscard]] bool started_as_rank();

/// For rank 0, when all ranks have found together: tells the process that started it, and gets the
/// job.
[[nodiscard]] std::string receive_job();

/// For rank 0, when its work is done: tells the process that started it, which takes an end with 0
/// for right only then. What was printed has arrived. \throws CannotRun if that is not possible
void report_finished();

/// The exit code by which a rank tells its status to the process that started it.
[[nodiscard]] int rank_exit_code(ExitStatus status);

}  // namespace apb
