#pragma once
/// \file
/// Starts a tool's ranks: threads of this process, or MPI processes that run the same tool again.
///
/// A tool prepares its job once, as JSON (all input checked, all text tokenised), and then calls
/// launch(). With MPI the first process starts `mpiexec` and keeps the job in memory, where rank 0
/// reads it. Under a user's own mpirun or srun every process prepares the job, before MPI starts,
/// and rank 0's is used, so that ranks never work on different jobs. A process that fails before
/// then still starts MPI, to tell the others (comm/agreement.hpp); so main must end with
/// end_rank().

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "reference/comm/run_ranks.hpp"

namespace apb {

/// "local" or "mpi". \throws BadInput
[[nodiscard]] Transport parse_transport(const std::string& name);

/// Runs `work` on all ranks with the job.
/// \param program name that begins a line of this process
/// \param prepare makes the job; not called in a process that launch() has started
/// \returns rank 0's status; kCannotRun if a rank died
/// \throws BadInput if an MPI launcher has started several processes and transport is local
[[nodiscard]] ExitStatus launch(
    std::string_view program, Transport transport, int num_ranks,
    const std::function<nlohmann::json()>& prepare,
    const std::function<ExitStatus(const RankEnvironment&, const nlohmann::json&)>& work);

/// How a process that may be a rank ends, for tool_main(): one that fails before MPI has started
/// tells the others, and what several ranks would say is said once.
[[nodiscard]] int end_rank(std::string_view program, ExitStatus status, const std::string& line);

}  // namespace apb
