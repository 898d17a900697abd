#include "reference/comm/ranks.hpp"

#include <algorithm>
#include <atomic>
#include <thread>

#include "reference/comm/local_communicator.hpp"
#include "reference/comm/mpi_communicator.hpp"

namespace apb {
namespace {

int cores_here() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

ExitStatus run_local(int num_ranks, const std::function<ExitStatus(const RankEnvironment&)>& work) {
  ExitStatus status = ExitStatus::kRight;
  run_local_ranks(num_ranks, std::max(1, cores_here() / num_ranks),
                  [&](Communicator& communicator) {
                    const ExitStatus own = work({communicator, num_ranks, cores_here()});
                    if (communicator.rank() == 0) status = own;
                  });
  return status;
}

ExitStatus run_mpi(int num_ranks, const std::function<int(ExitStatus)>& exit_code,
                   const std::function<ExitStatus(const RankEnvironment&)>& work) {
  MpiSession session;
  Communicator& world = session.world();
  if (world.num_ranks() != num_ranks) {
    throw BadInput("run", "ranks", num_ranks,
                   fmt::format("the number of MPI processes ({})", world.num_ranks()));
  }
  try {
    auto status = static_cast<int>(work({world, session.ranks_on_node(), cores_here()}));
    world.broadcast<int>(0, {&status, 1});
    return static_cast<ExitStatus>(status);
  } catch (const Error& error) {
    fmt::print(stderr, "rank {}: {}\n", world.rank(), error.what());
    session.abort(exit_code(error.status()));
  } catch (const std::exception& error) {
    fmt::print(stderr, "rank {}: {}\n", world.rank(), error.what());
    session.abort(exit_code(ExitStatus::kCannotRun));
  }
}

}  // namespace

ExitStatus run_ranks(Transport transport, int num_ranks,
                     const std::function<int(ExitStatus)>& exit_code,
                     const std::function<ExitStatus(const RankEnvironment&)>& work) {
  return transport == Transport::kLocal ? run_local(num_ranks, work)
                                        : run_mpi(num_ranks, exit_code, work);
}

}  // namespace apb
