#pragma once
/// \file
/// What the environment says about who started this process. No MPI is needed to read it.

namespace apb {

/// Whether this process was started by mpiexec, mpirun or srun (so MPI may be initialised).
[[nodiscard]] bool started_by_mpi();

/// Whether this process should report errors of the whole run (rank 0, or no MPI run at all).
[[nodiscard]] bool speaks_for_run();

}  // namespace apb
