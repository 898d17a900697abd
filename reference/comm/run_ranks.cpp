#include "reference/comm/run_ranks.hpp"

#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

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

/// mpiexec drops what it has not read yet of a rank's words when that rank ends the run: waits
/// until it has read them, a second at most.
void wait_until_read(int pipe) {
  struct stat what {};
  if (fstat(pipe, &what) != 0 || !S_ISFIFO(what.st_mode)) return;
  int unread_bytes = 1;
  for (int tries = 0; tries < 1000 && unread_bytes > 0; ++tries) {
    if (tries > 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (ioctl(pipe, FIONREAD, &unread_bytes) != 0) return;
  }
}

/// Says why this rank cannot go on, and ends all ranks.
[[noreturn]] void end_all(MpiSession& session, const RunEnding& ending, ExitStatus status,
                          const char* why) {
  print_to_stderr(fmt::format("rank {}: {}\n", session.world().rank(), why));
  wait_until_read(STDERR_FILENO);
  session.abort(ending.exit_code(status));
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
    end_all(session, ending, error.status(), error.what());
  } catch (const std::exception& error) {
    end_all(session, ending, ExitStatus::kCannotRun, error.what());
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
