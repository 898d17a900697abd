#include "reference/launch/launch.hpp"

#include "reference/cli/launcher_environment.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/comm/mpi_communicator.hpp"
#include "reference/launch/own_ranks.hpp"

namespace apb {
namespace {

/// The job that rank 0 read or prepared, on every rank.
nlohmann::json share_job(Communicator& communicator, const std::function<std::string()>& own_job) {
  std::string text;
  if (communicator.rank() == 0) text = own_job();
  std::size_t size = text.size();
  communicator.broadcast<std::size_t>(0, {&size, 1});
  text.resize(size);
  communicator.broadcast<char>(0, text);
  return nlohmann::json::parse(text);
}

/// The exit code of a process: the status itself, or, in a rank started by launch(), a code that
/// the launching process understands.
int exit_code(ExitStatus status) {
  return started_as_rank() ? rank_exit_code(status) : static_cast<int>(status);
}

RunEnding ending_of(std::string_view program) {
  const auto say = [program](const std::string& line) {
    (void)end_process(program, ExitStatus::kCannotRun, line);
  };
  return {exit_code, say};
}

/// A launcher has started several processes, each of which would do all of the work.
[[noreturn]] void refuse_local(const LaunchedProcess& process) {
  throw BadInput(fmt::format(
      "--transport local: each of {} processes of an MPI run ({} is set) would do all of the work: "
      "add --transport mpi, or start one process without mpirun",
      process.size ? std::to_string(*process.size) : "the", process.variable));
}

}  // namespace

Transport parse_transport(const std::string& name) {
  if (name == "local") return Transport::kLocal;
  if (name == "mpi") return Transport::kMpi;
  throw BadInput("run", "transport", name, "local or mpi");
}

int end_rank(std::string_view program, ExitStatus status, const std::string& line) {
  const bool alone = status == ExitStatus::kRight || mpi_has_started() ||
                     !(started_as_rank() || launched_process());
  if (!alone) return exit_code(fail_before_the_run({status, line}, ending_of(program)));
  (void)end_process(program, status, line);
  return exit_code(status);
}

ExitStatus launch(
    std::string_view program, Transport transport, int num_ranks,
    const std::function<nlohmann::json()>& prepare,
    const std::function<ExitStatus(const RankEnvironment&, const nlohmann::json&)>& work) {
  const RunEnding ending = ending_of(program);
  if (started_as_rank()) {
    return run_ranks(Transport::kMpi, num_ranks, ending, [&](const RankEnvironment& rank) {
      const ExitStatus status = work(rank, share_job(rank.communicator, receive_job));
      if (rank.communicator.rank() == 0) report_finished();
      return status;
    });
  }
  const auto process = launched_process();
  if (process && transport == Transport::kLocal) refuse_local(*process);
  const nlohmann::json job = prepare();
  if (transport == Transport::kLocal) {
    return run_ranks(transport, num_ranks, ending,
                     [&](const RankEnvironment& rank) { return work(rank, job); });
  }
  if (!process) return run_own_ranks(num_ranks, job);
  return run_ranks(transport, num_ranks, ending, [&](const RankEnvironment& rank) {
    return work(rank, share_job(rank.communicator, [&] { return job.dump(); }));
  });
}

}  // namespace apb
