// Which environment variables make a process one of an MPI run, and which are left over.

#include "reference/cli/launcher_environment.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <map>

#include "tests/support/catch.hpp"

namespace apb {
namespace {

using Table = std::map<std::string, std::string>;

/// Rank and size as text; "none" if the process is in no run.
std::string found_in(const Table& table) {
  const auto process = launched_process([&](const char* name) -> const char* {
    const auto found = table.find(name);
    return found == table.end() ? nullptr : found->second.c_str();
  });
  if (!process) return "none";
  return std::to_string(process->rank) + " of " +
         (process->size ? std::to_string(*process->size) : "?") + " by " + process->variable;
}

/// A descriptor that leads to a launcher: one end of a socket pair, as Hydra and Slurm hand it on.
class LauncherSocket {
 public:
  LauncherSocket() { REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()) == 0); }
  LauncherSocket(const LauncherSocket&) = delete;
  LauncherSocket& operator=(const LauncherSocket&) = delete;
  LauncherSocket(LauncherSocket&&) = delete;
  LauncherSocket& operator=(LauncherSocket&&) = delete;
  ~LauncherSocket() {
    for (const int end : ends_) close(end);
  }

  [[nodiscard]] std::string number() const { return std::to_string(ends_[0]); }

 private:
  std::array<int, 2> ends_{};
};

TEST_CASE("launchers' variables", "[launcher]") {
  const LauncherSocket launcher;
  CHECK(found_in({{"PMI_RANK", "1"}, {"PMI_SIZE", "3"}, {"PMI_FD", launcher.number()}}) ==
        "1 of 3 by PMI_RANK");
  CHECK(found_in({{"PMI_RANK", "0"}, {"PMI_SIZE", "2"}, {"PMI_PORT", "node:4000"}}) ==
        "0 of 2 by PMI_RANK");
  CHECK(found_in({{"OMPI_COMM_WORLD_RANK", "2"},
                  {"OMPI_COMM_WORLD_SIZE", "4"},
                  {"PMIX_RANK", "2"},
                  {"PMIX_NAMESPACE", "x"},
                  {"PMIX_SERVER_URI2", "x"}}) == "2 of 4 by OMPI_COMM_WORLD_RANK");
  CHECK(found_in({{"PMIX_RANK", "1"}, {"PMIX_NAMESPACE", "x"}, {"PMIX_SERVER_URI41", "x"}}) ==
        "1 of ? by PMIX_RANK");
  CHECK(found_in({{"PMIX_RANK", "1"},
                  {"PMIX_NAMESPACE", "slurm.pmix.1.0"},
                  {"PMIX_SERVER_URI2", "x"},
                  {"SLURM_STEP_NUM_TASKS", "8"}}) == "1 of 8 by PMIX_RANK");
}

TEST_CASE("variables that are left over in a shell", "[launcher]") {
  CHECK(found_in({}) == "none");
  CHECK(found_in({{"PMI_RANK", "0"}}) == "none");
  CHECK(found_in({{"PMIX_RANK", "0"}}) == "none");
  CHECK(found_in({{"OMPI_COMM_WORLD_RANK", "0"}}) == "none");
  CHECK(found_in({{"PMIX_RANK", "0"}, {"PMIX_NAMESPACE", "x"}}) == "none");
  CHECK(found_in({{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}, {"PMI_FD", "987"}}) == "none");  // closed
  std::array<int, 2> pipe_ends{};
  REQUIRE(pipe(pipe_ends.data()) == 0);  // the number is somebody else's by now
  CHECK(
      found_in({{"PMI_RANK", "0"}, {"PMI_SIZE", "4"}, {"PMI_FD", std::to_string(pipe_ends[0])}}) ==
      "none");
  for (const int end : pipe_ends) close(end);
  CHECK(found_in({{"PMI_RANK", "x"}, {"PMI_SIZE", "4"}}) == "none");
  CHECK(found_in({{"PMI_RANK", "-1"}, {"PMI_SIZE", "4"}}) == "none");
}

TEST_CASE("a run of one process is none", "[launcher]") {
  const LauncherSocket launcher;
  CHECK(found_in({{"PMI_RANK", "0"}, {"PMI_SIZE", "1"}, {"PMI_FD", launcher.number()}}) == "none");
  CHECK(found_in({{"OMPI_COMM_WORLD_RANK", "0"}, {"OMPI_COMM_WORLD_SIZE", "1"}}) == "none");
  CHECK(found_in({{"PMIX_RANK", "0"},
                  {"PMIX_NAMESPACE", "x"},
                  {"PMIX_SERVER_URI2", "x"},
                  {"SLURM_STEP_NUM_TASKS", "1"}}) == "none");
}

TEST_CASE("what a launcher has set is forgotten, what a user has set is kept", "[launcher]") {
  const std::string launchers[]{"PMI_RANK", "PMI_TEST",       "PMIX_RANK",
                                "PMIX_X",   "OMPI_TEST_SIZE", "OMPI_MCA_ess_base_jobid",
                                "PRTE_X"};
  const std::string users[]{"OMPI_MCA_rmaps_base_oversubscribe_test", "PRTE_MCA_test", "PMTEST"};
  for (const std::string& name : launchers) setenv(name.c_str(), "0", 1);
  for (const std::string& name : users) setenv(name.c_str(), "0", 1);
  CHECK(has_launcher_rank());
  forget_launcher();
  CHECK(!has_launcher_rank());
  for (const std::string& name : launchers) CHECK(std::getenv(name.c_str()) == nullptr);
  for (const std::string& name : users) {
    CHECK(std::getenv(name.c_str()) != nullptr);
    unsetenv(name.c_str());
  }
}

}  // namespace
}  // namespace apb
