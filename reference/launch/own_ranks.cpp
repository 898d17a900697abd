#include "reference/launch/own_ranks.hpp"

#include <poll.h>
#include <sys/mman.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>

#include "reference/cli/installed_files.hpp"
#include "reference/cli/launcher_environment.hpp"
#include "reference/cli/pipe.hpp"
#include "reference/launch/process_tree.hpp"

namespace apb {
namespace {

/// Set in ranks: the file that holds their job, and the pipe into which rank 0 writes a byte when
/// all have found together, and another when it has finished.
constexpr const char* kJobVariable = "APB_JOB";
constexpr const char* kNewsVariable = "APB_NEWS";
constexpr char kStarted = '+';
constexpr char kFinished = '.';
constexpr const char* kJobName = "apb-job";

/// Ranks add this to their exit status, so that a status that mpiexec makes up for a killed rank
/// (often the signal's number) cannot be mistaken for one of ours.
constexpr int kRankExitOffset = 40;

/// What ranks may take until all have found together: far more than they do.
constexpr std::chrono::seconds kStart{20};
constexpr std::chrono::seconds kStartOfRank{1};

/// Where other processes of this user open a file of this one.
std::string shared_path(int descriptor) {
  return fmt::format("/proc/{}/fd/{}", getpid(), descriptor);
}

/// Writes all of a text. \returns whether that was possible
bool write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

/// While it lives, processes that this one starts are ranks with this job.
class JobForRanks {
 public:
  explicit JobForRanks(const nlohmann::json& job) : job_(memfd_create(kJobName, MFD_CLOEXEC)) {
    if (!job_.is_open() || !write_all(job_.get(), job.dump())) {
      throw CannotRun("cannot hold the job in memory");
    }
    setenv(kJobVariable, shared_path(job_.get()).c_str(), 1);
    setenv(kNewsVariable, shared_path(news_.write_end.get()).c_str(), 1);
  }
  JobForRanks(const JobForRanks&) = delete;
  JobForRanks& operator=(const JobForRanks&) = delete;
  JobForRanks(JobForRanks&&) = delete;
  JobForRanks& operator=(JobForRanks&&) = delete;
  ~JobForRanks() {
    unsetenv(kJobVariable);
    unsetenv(kNewsVariable);
  }

  /// Can be read when all ranks have found together.
  [[nodiscard]] int started() const { return news_.read_end.get(); }

  /// Whether rank 0 has finished. To be asked once, when no rank is left.
  [[nodiscard]] bool finished() const {
    std::array<char, 2> news{};
    fcntl(news_.read_end.get(), F_SETFL, O_NONBLOCK);
    const ssize_t count = read(news_.read_end.get(), news.data(), news.size());
    return count == 2 && news[1] == kFinished;
  }

 private:
  Descriptor job_;  ///< in memory: gone with us
  Pipe news_;
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

/// Follows the ranks until the last has closed its output.
class Follower {
 public:
  Follower(const ProcessTree& ranks, int num_ranks)
      : ranks_(ranks), allowed_(kStart + num_ranks * kStartOfRank) {}

  /// \param output what the ranks write; handed on at once
  /// \param started can be read when all have found together
  void follow(int output, int started) {
    const auto begin = std::chrono::steady_clock::now();
    bool waiting_for_start = true;
    bool open = true;
    while (open) {
      std::array<pollfd, 2> events{
          {{output, POLLIN, 0}, {waiting_for_start ? started : -1, POLLIN, 0}}};
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(
          begin + allowed_ - std::chrono::steady_clock::now());
      const int timeout_ms = waiting_for_start ? std::max(0, static_cast<int>(left.count())) : -1;
      const int ready = poll(events.data(), events.size(), timeout_ms);
      if (ready == 0) {
        stop(
            fmt::format("the ranks have not found together within {} s; is there room for their "
                        "processes and threads (ulimit -u, pids.max of a control group)?",
                        allowed_.count()));
      }
      if (ready == 0 || events[1].revents != 0) waiting_for_start = false;
      if (events[0].revents != 0) open = hand_on(output);
    }
  }

  /// Why the ranks were stopped, if they were.
  [[nodiscard]] const std::string& reason() const { return reason_; }

 private:
  void stop(const std::string& reason) {
    if (!reason_.empty()) return;
    reason_ = reason;
    ranks_.end();
  }

  /// \returns whether there may be more
  bool hand_on(int output) {
    std::array<char, 65536> piece{};
    const ssize_t count = read(output, piece.data(), piece.size());
    if (count < 0) return errno == EINTR;
    const std::string_view text(piece.data(), static_cast<std::size_t>(count));
    if (reason_.empty() && !write_all(STDOUT_FILENO, text)) {
      stop("standard output cannot be written");
    }
    return count > 0;
  }

  const ProcessTree& ranks_;
  std::chrono::seconds allowed_;
  std::string reason_;
};

/// Whether a path is that of a job in memory, which lives as long as the process that holds it.
bool is_job(const char* path) {
  std::error_code gone;
  return std::filesystem::read_symlink(path, gone)
      .string()
      .starts_with(fmt::format("/memfd:{}", kJobName));
}

/// A byte for the process that started the ranks.
void tell(char news) {
  const char* const pipe = std::getenv(kNewsVariable);
  if (pipe != nullptr) std::ofstream(pipe) << news;
}

}  // namespace

ExitStatus run_own_ranks(int num_ranks, const nlohmann::json& job) {
  const JobForRanks job_for_ranks(job);
  prepare_environment();
  Pipe output;
  ProcessTree ranks({APB_MPIEXEC, "--bind-to", "none", "-n", std::to_string(num_ranks), own_path(),
                     "--transport", "mpi", "--ranks", std::to_string(num_ranks)},
                    output.write_end.get());
  output.write_end.close();
  Follower follower(ranks, num_ranks);
  follower.follow(output.read_end.get(), job_for_ranks.started());
  const int code = ranks.wait();
  if (!follower.reason().empty()) throw CannotRun(follower.reason());
  if (code == 0 && job_for_ranks.finished()) return ExitStatus::kRight;
  if (code == 0) {
    throw CannotRun(
        fmt::format("{} ended before rank 0 had finished: was it told to?", APB_MPIEXEC));
  }
  const int status = code - kRankExitOffset;
  if (status >= 1 && status <= 3) return static_cast<ExitStatus>(status);
  throw CannotRun(fmt::format("a rank died; {} ended with {}", APB_MPIEXEC, code));
}

bool started_as_rank() {
  const char* const job = std::getenv(kJobVariable);
  if (job == nullptr) return false;
  const auto refuse = [](const std::string& why) {
    throw CannotRun(fmt::format("{} is set, as in a rank of a run, but {}", kJobVariable, why));
  };
  // Else it would start ranks without end.
  if (!has_launcher_rank()) refuse(fmt::format("{} has set no rank", APB_MPIEXEC));
  if (!is_job(job)) refuse("the process that started the run is gone");
  return true;
}

std::string receive_job() {
  tell(kStarted);
  std::ifstream file(std::getenv(kJobVariable));
  if (!file.is_open()) throw CannotRun("the process that started this rank is gone");
  return {std::istreambuf_iterator<char>(file), {}};
}

void report_finished() {
  if (std::fflush(stdout) != 0) throw CannotRun("standard output cannot be written");
  tell(kFinished);
}

int rank_exit_code(ExitStatus status) {
  const int code = static_cast<int>(status);
  return code == 0 ? 0 : kRankExitOffset + code;
}

}  // namespace apb
