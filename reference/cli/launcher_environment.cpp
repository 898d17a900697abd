#include "reference/cli/launcher_environment.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace apb {
namespace {

constexpr std::array kRankVariables{"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK"};

std::optional<int> number(const Environment& environment, const char* name) {
  const char* text = environment(name);
  if (text == nullptr) return {};
  const std::string_view digits(text);
  int value = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size() || value < 0) return {};
  return value;
}

std::optional<LaunchedProcess> by_open_mpi(const Environment& environment) {
  const auto rank = number(environment, "OMPI_COMM_WORLD_RANK");
  const auto size = number(environment, "OMPI_COMM_WORLD_SIZE");
  if (!rank || !size) return {};
  return LaunchedProcess{*rank, size, "OMPI_COMM_WORLD_RANK"};
}

std::optional<LaunchedProcess> by_pmi(const Environment& environment) {
  const auto rank = number(environment, "PMI_RANK");
  const auto size = number(environment, "PMI_SIZE");
  if (!rank || !size) return {};
  if (const auto descriptor = number(environment, "PMI_FD")) {
    struct stat file {};
    // A number that was left over may since have become that of a terminal, pipe or plain file.
    if (fstat(*descriptor, &file) != 0 || !S_ISSOCK(file.st_mode)) return {};
  }
  return LaunchedProcess{*rank, size, "PMI_RANK"};
}

std::optional<LaunchedProcess> by_pmix(const Environment& environment) {
  const auto rank = number(environment, "PMIX_RANK");
  const std::array servers{"PMIX_SERVER_URI",  "PMIX_SERVER_URI2", "PMIX_SERVER_URI21",
                           "PMIX_SERVER_URI3", "PMIX_SERVER_URI4", "PMIX_SERVER_URI41"};
  const bool served =
      std::ranges::any_of(servers, [&](const char* name) { return environment(name) != nullptr; });
  if (!rank || !served || environment("PMIX_NAMESPACE") == nullptr) return {};
  return LaunchedProcess{*rank, number(environment, "SLURM_STEP_NUM_TASKS"), "PMIX_RANK"};
}

/// Whether a launcher, rather than the user, has set a variable.
bool is_launchers(std::string_view name) {
  for (const char* users : {"OMPI_MCA_", "OMPI_ALLOW_RUN_AS_ROOT", "PRTE_MCA_"}) {
    // Except these, by which Open MPI 4 tells its processes where their launcher is.
    if (name.starts_with("OMPI_MCA_orte_") || name.starts_with("OMPI_MCA_ess_")) return true;
    if (name.starts_with(users)) return false;
  }
  for (const char* launchers : {"PMI_", "PMIX_", "OMPI_", "PRTE_", "HYDI_", "MPI_LOCAL"}) {
    if (name.starts_with(launchers)) return true;
  }
  return false;
}

}  // namespace

const char* process_environment(const char* name) {
  return std::getenv(name);
}

std::optional<LaunchedProcess> launched_process(const Environment& environment) {
  for (const auto by_launcher : {by_open_mpi, by_pmi, by_pmix}) {
    if (const auto process = by_launcher(environment)) {
      return process->size == 1 ? std::nullopt : process;
    }
  }
  return {};
}

bool has_launcher_rank(const Environment& environment) {
  return std::ranges::any_of(kRankVariables,
                             [&](const char* name) { return environment(name) != nullptr; });
}

bool speaks_for_run() {
  const auto process = launched_process();
  return !process || process->rank == 0;
}

void forget_launcher() {
  std::vector<std::string> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string_view text(*variable);
    names.emplace_back(text.substr(0, text.find('=')));
  }
  for (const std::string& name : names) {
    if (is_launchers(name)) unsetenv(name.c_str());
  }
}

}  // namespace apb
