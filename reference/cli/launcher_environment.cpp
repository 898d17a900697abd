#include "reference/cli/launcher_environment.hpp"

#include <array>
#include <cstdlib>
#include <string_view>

namespace apb {
namespace {

/// Set by MPICH and Intel MPI (hydra, Slurm's PMI-2), Open MPI, and PMIx launchers.
constexpr std::array kRankVariables{"PMI_RANK", "OMPI_COMM_WORLD_RANK", "PMIX_RANK"};

const char* rank_in_environment() {
  for (const char* name : kRankVariables) {
    if (const char* rank = std::getenv(name)) return rank;
  }
  return nullptr;
}

}  // namespace

bool started_by_mpi() {
  return rank_in_environment() != nullptr;
}

bool speaks_for_run() {
  const char* rank = rank_in_environment();
  return rank == nullptr || std::string_view(rank) == "0";
}

}  // namespace apb
