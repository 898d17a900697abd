#pragma once
/// \file
/// Starts a tool's ranks: threads of this process, or MPI processes that run the same tool again.
///
/// A tool prepares its job once, as JSON (all input checked, all text tokenised), and then calls
/// launch(). With MPI the first process starts `mpiexec` and keeps the job in memory, where rank 0
/// reads it. Under a user's own mpirun or srun every process prepares the job, before MPI starts,
/// and rank 0's is used, so that ranks never work on different jobs.

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "reference/comm/ranks.hpp"

namespace apb {

/// "local" or "mpi". \throws BadInput
[[nodiscard]] Transport parse_transport(const std::string& name);

/// Whether this process was started by launch() as a rank: its job comes from there.
[[nodiscard]] bool started_as_rank();

/// Runs `work` on all ranks with the job.
/// \param prepare makes the job; not called in a process that started_as_rank()
/// \returns rank 0's status; kCannotRun if a rank died
[[nodiscard]] ExitStatus launch(
    Transport transport, int num_ranks, const std::function<nlohmann::json()>& prepare,
    const std::function<ExitStatus(const RankEnvironment&, const nlohmann::json&)>& work);

/// The exit code that this process gives its status: the status itself, or, in a rank started by
/// launch(), a code that the launching process understands.
[[nodiscard]] int process_exit_code(ExitStatus status);

}  // namespace apb
