#include "reference/launch/launch.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

#include "reference/cli/installed_files.hpp"
#include "reference/cli/launcher_environment.hpp"
#include "reference/cli/subprocess.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/comm/mpi_communicator.hpp"

namespace apb {
namespace {

/// Set in ranks started by launch(): the file that holds their job.
constexpr const char* kJobVariable = "APB_JOB";

/// Ranks started by launch() add this to their exit status, so that a status that mpiexec makes up
/// for a killed rank (often the signal's number) cannot be mistaken for one of ours.
constexpr int kRankExitOffset = 40;

/// A file in memory that other processes of this user open by its path; it is gone with us.
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& text) : descriptor_(memfd_create("apb-job", MFD_CLOEXEC)) {
    std::string_view rest = text;
    while (descriptor_ >= 0 && !rest.empty()) {
      const ssize_t written = write(descriptor_, rest.data(), rest.size());
      if (written <= 0) break;
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (descriptor_ < 0 || !rest.empty()) throw CannotRun("cannot hold the job in memory");
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  MemoryFile(MemoryFile&&) = delete;
  MemoryFile& operator=(MemoryFile&&) = delete;
  ~MemoryFile() { close(descriptor_); }

  [[nodiscard]] std::string path() const {
    return fmt::format("/proc/{}/fd/{}", getpid(), descriptor_);
  }

 private:
  int descriptor_;
};

/// While it lives, processes that this one starts are ranks with this job.
class JobForRanks {
 public:
  explicit JobForRanks(const nlohmann::json& job) : file_(job.dump()) {
    setenv(kJobVariable, file_.path().c_str(), 1);
  }
  JobForRanks(const JobForRanks&) = delete;
  JobForRanks& operator=(const JobForRanks&) = delete;
  JobForRanks(JobForRanks&&) = delete;
  JobForRanks& operator=(JobForRanks&&) = delete;
  ~JobForRanks() { unsetenv(kJobVariable); }

 private:
  MemoryFile file_;
};

/// What the launcher that we start needs to be told. All our ranks run on this machine.
void prepare_environment() {
  forget_launcher();
  setenv("HYDRA_LAUNCHER", "fork",
         0);  // MPICH in a Slurm job would use srun, and wait in its queue
  // Open MPI asks for these to run as root and to run more ranks than cores; MPICH ignores them.
  for (const char* name : {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
                           "OMPI_MCA_rmaps_base_oversubscribe"}) {
    setenv(name, "1", 1);
  }
  setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", 1);
  // Without ssh on the machine Open MPI 4 does not even start local ranks, unless told to use a
  // program that is there (it is never called).
  setenv("OMPI_MCA_plm_rsh_agent", "/bin/false", 0);
  // UCX, which MPICH and Open MPI may stand on, logs to standard output, where our answers go, and
  // catches a rank's fatal signals.
  setenv("UCX_LOG_FILE", "stderr", 0);
  setenv("UCX_ERROR_SIGNALS", "", 0);
}

/// Starts this program again as MPI ranks and waits for them.
ExitStatus run_mpiexec(int num_ranks, const nlohmann::json& job) {
  const JobForRanks job_for_ranks(job);
  prepare_environment();
  const SubprocessResult result =
      run_subprocess({APB_MPIEXEC, "--bind-to", "none", "-n", std::to_string(num_ranks), own_path(),
                      "--transport", "mpi", "--ranks", std::to_string(num_ranks)},
                     "", false);
  if (result.exit_code == 0) return ExitStatus::kRight;
  const int status = result.exit_code - kRankExitOffset;
  if (status >= 1 && status <= 3) return static_cast<ExitStatus>(status);
  throw CannotRun(fmt::format("a rank died; {} ended with {}", APB_MPIEXEC, result.exit_code));
}

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

/// Whether this process was started by launch() as a rank: its job comes from there.
bool started_as_rank() {
  if (std::getenv(kJobVariable) == nullptr) return false;
  if (!has_launcher_rank()) {  // else it would start ranks without end
    throw CannotRun(fmt::format("{} is set, as in a rank of a run, but {} has set no rank",
                                kJobVariable, APB_MPIEXEC));
  }
  return true;
}

/// The exit code of a process: the status itself, or, in a rank started by launch(), a code that
/// the launching process understands.
int exit_code(ExitStatus status) {
  const int code = static_cast<int>(status);
  return code != 0 && std::getenv(kJobVariable) != nullptr ? kRankExitOffset + code : code;
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

std::string read_launched_job() {
  std::ifstream file(std::getenv(kJobVariable));
  if (!file.is_open()) throw CannotRun("the process that started this rank is gone");
  return {std::istreambuf_iterator<char>(file), {}};
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
      return work(rank, share_job(rank.communicator, read_launched_job));
    });
  }
  const auto process = launched_process();
  if (process && transport == Transport::kLocal) refuse_local(*process);
  const nlohmann::json job = prepare();
  if (transport == Transport::kLocal) {
    return run_ranks(transport, num_ranks, ending,
                     [&](const RankEnvironment& rank) { return work(rank, job); });
  }
  if (!process) return run_mpiexec(num_ranks, job);
  return run_ranks(transport, num_ranks, ending, [&](const RankEnvironment& rank) {
    return work(rank, share_job(rank.communicator, [&] { return job.dump(); }));
  });
}

}  // namespace apb
