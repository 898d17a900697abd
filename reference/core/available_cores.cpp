#include "reference/core/available_cores.hpp"

#include <sched.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

namespace apb {
namespace {

namespace fs = std::filesystem;

constexpr int kNoLimit = std::numeric_limits<int>::max();

/// Microseconds of processor time that a group gets in each period; nothing if it has no limit.
struct Quota {
  double quota_us = 0;
  double period_us = 0;

  [[nodiscard]] int cores() const {
    if (!(quota_us > 0) || !(period_us > 0)) return kNoLimit;  // -1 in version 1: no limit
    return static_cast<int>(std::clamp((quota_us + period_us - 1) / period_us, 1.0, 1e6));
  }
};

/// Version 2: "max 100000" or "150000 100000".
Quota quota_of_version_2(const fs::path& group) {
  Quota quota;
  std::ifstream file(group / "cpu.max");
  if (!(file >> quota.quota_us >> quota.period_us)) return {};
  return quota;
}

Quota quota_of_version_1(const fs::path& group) {
  Quota quota;
  std::ifstream quota_file(group / "cpu.cfs_quota_us");
  std::ifstream period_file(group / "cpu.cfs_period_us");
  if (!(quota_file >> quota.quota_us) || !(period_file >> quota.period_us)) return {};
  return quota;
}

/// The least limit of a group and all above it. In a container the group's path may be the host's,
/// which is not mounted here: then only the part that exists counts, and always the mounted root.
int least_limit(const fs::path& mount, const fs::path& group, Quota (*quota_of)(const fs::path&)) {
  int cores = quota_of(mount).cores();
  fs::path folder = mount;
  for (const fs::path& name : group.relative_path()) {
    folder /= name;
    cores = std::min(cores, quota_of(folder).cores());
  }
  return cores;
}

bool has_controller(std::string_view controllers, std::string_view wanted) {
  while (!controllers.empty()) {
    const std::size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == wanted) return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

}  // namespace

std::vector<int> allowed_processors() {
  const std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set(CPU_ALLOC(kMostProcessors),
                                                             [](cpu_set_t* s) { CPU_FREE(s); });
  const std::size_t size = CPU_ALLOC_SIZE(kMostProcessors);
  std::vector<int> processors;
  if (set != nullptr && sched_getaffinity(0, size, set.get()) == 0) {
    for (int processor = 0; processor < kMostProcessors; ++processor) {
      if (CPU_ISSET_S(processor, size, set.get())) processors.push_back(processor);
    }
  }
  if (processors.empty()) processors.push_back(0);
  return processors;
}

int cgroup_cores(const CgroupFiles& files) {
  int cores = kNoLimit;
  std::ifstream membership(files.membership);
  // Lines "hierarchy:controllers:path"; version 2 is hierarchy 0 without controllers.
  for (std::string line; std::getline(membership, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const fs::path group = line.substr(second + 1);
    if (has_controller(controllers, "cpu")) {
      for (const char* folder : {"cpu", "cpu,cpuacct"}) {
        cores = std::min(cores, least_limit(files.root / folder, group, quota_of_version_1));
      }
    } else if (controllers.empty()) {
      for (const char* folder : {"", "unified"}) {
        cores = std::min(cores, least_limit(files.root / folder, group, quota_of_version_2));
      }
    }
  }
  return cores;
}

int cores_asked_for() {
  const char* text = std::getenv("OMP_NUM_THREADS");
  if (text == nullptr) return kNoLimit;
  const std::string_view value(text);
  const std::size_t begin = std::min(value.find_first_not_of(" \t"), value.size());
  int number = 0;
  const auto [end, error] =
      std::from_chars(value.data() + begin, value.data() + value.size(), number);
  const bool whole = end == value.data() + value.size() || *end == ',' || *end == ' ';
  return error == std::errc() && whole && number > 0 ? number : kNoLimit;
}

int available_cores() {
  const int allowed = static_cast<int>(allowed_processors().size());
  return std::max(1, std::min({allowed, cgroup_cores(), cores_asked_for()}));
}

}  // namespace apb
