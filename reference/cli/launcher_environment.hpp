#pragma once
/// \file
/// What an MPI launcher (mpiexec, mpirun, srun) tells a process that it starts: environment
/// variables. Nothing here calls MPI.

#include <functional>
#include <optional>
#include <string>

namespace apb {

/// Looks up an environment variable; null if it is not set. Tests put tables of their own here.
using Environment = std::function<const char*(const char* name)>;
[[nodiscard]] const char* process_environment(const char* name);

/// One process of a run of several.
struct LaunchedProcess {
  int rank = 0;
  std::optional<int> size;  ///< processes of the run; not every launcher tells
  std::string variable;     ///< the one that tells the rank
};

/// This process's place in the run that a launcher started, if it did.
///
/// Nothing if variables are only left over: an interactive shell of a batch job
/// (`srun --pty bash`) hands a rank to all that is called in it, but nobody waits for it in MPI. A
/// launcher always sets more than the rank: MPICH, Intel MPI, Slurm's PMI-2 and Flux set PMI_SIZE
/// and, mostly, an open descriptor PMI_FD; Open MPI sets OMPI_COMM_WORLD_SIZE; a PMIx launcher sets
/// PMIX_NAMESPACE and the address of its server. Nothing as well for a run of one process, which
/// may start ranks of its own.
[[nodiscard]] std::optional<LaunchedProcess> launched_process(
    const Environment& environment = process_environment);

/// Whether a launcher's rank is set at all, left over or not.
[[nodiscard]] bool has_launcher_rank(const Environment& environment = process_environment);

/// Whether this process should say what concerns the whole run: rank 0, or no run at all.
[[nodiscard]] bool speaks_for_run();

/// Removes what a launcher told this process, so that a launcher that this process starts is not
/// confused by it. What users set themselves (OMPI_MCA_…, PRTE_MCA_…) stays.
void forget_launcher();

}  // namespace apb
