#include "reference/comm/run_ranks.hpp"

#include <algorithm>

#include "reference/comm/local_communicator.hpp"
#include "reference/comm/mpi_communicator.hpp"
#include "reference/core/available_cores.hpp"
#include "reference/core/standard_error.hpp"

namespace apb {
namespace {

ExitStatus run_local(int num_ranks, const std::function<ExitStatus(const RankEnvironment&)>& work) {
  const int cores = available_cores();
  ExitStatus status = ExitStatus::kRight;
  run_local_ranks(num_ranks, std::max(1, cores / std::max(1, num_ranks)),
                  [&](Communicator& communicator) {
                    const ExitStatus own = work({communicator, num_ranks, cores});
                    if (communicator.rank() == 0) status = own;
                  });
  return status;
}

/// \throws Error on all ranks if one of them cannot take part
void require_agreement(Communicator& world, int num_ranks, const RunEnding& ending) {
  Failure own;
  if (world.num_ranks() != num_ranks) {
    const BadInput error("run", "ranks", num_ranks,
                         fmt::format("the number of MPI processes ({})", world.num_ranks()));
    own = {error.status(), error.what()};
  }
  const ExitStatus status = agree(world, own, ending.say);
  if (status != ExitStatus::kRight) throw Error(status, "");
}

ExitStatus run_mpi(int num_ranks, const RunEnding& ending,
                   const std::function<ExitStatus(const RankEnvironment&)>& work) {
  MpiSession session;
  Communicator& world = session.world();
  require_agreement(world, num_ranks, ending);
  try {
    auto status = static_cast<int>(
        work({world, session.ranks_on_node(), session.cores_of_node(), available_cores()}));
    world.broadcast<int>(0, {&status, 1});
    return static_cast<ExitStatus>(status);
  } catch (const Error& error) {
    print_to_stderr(fmt::format("rank {}: {}\n", world.rank(), error.what()));
    session.abort(ending.exit_code(error.status()));
  } catch (const std::exception& error) {
    print_to_stderr(fmt::format("rank {}: {}\n", world.rank(), error.what()));
    session.abort(ending.exit_code(ExitStatus::kCannotRun));
  }
}

}  // namespace

ExitStatus run_ranks(Transport transport, int num_ranks, const RunEnding& ending,
                     const std::function<ExitStatus(const RankEnvironment&)>& work) {
  return transport == Transport::kLocal ? run_local(num_ranks, work)
                                        : run_mpi(num_ranks, ending, work);
}

ExitStatus fail_before_the_run(const Failure& own, const RunEnding& ending) {
  MpiSession session;
  return agree(session.world(), own, ending.say);
}

}  // namespace apb
