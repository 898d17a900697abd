#pragma once
/// \file
/// How many cores this process may keep busy.

#include <cstdint>
#include <filesystem>
#include <vector>

namespace apb {

/// Where the limits of control groups are read. Tests put folders of their own here.
struct CgroupFiles {
  std::filesystem::path root = "/sys/fs/cgroup";           ///< where the hierarchies are mounted
  std::filesystem::path membership = "/proc/self/cgroup";  ///< which group this process is in
};

/// Linux numbers processors up to 8191 at most.
inline constexpr int kMostProcessors = 8192;

/// Numbers of the processors that this thread may run on (taskset, a batch system's cpuset),
/// ascending; at least one.
[[nodiscard]] std::vector<int> allowed_processors();

/// Cores' worth of time that control groups (versions 1 and 2) leave to this process, rounded up:
/// the least of its own group's and all groups' above. A very large number if nothing limits it.
[[nodiscard]] int cgroup_cores(const CgroupFiles& files = {});

/// OMP_NUM_THREADS (its first number), by which users limit a process's threads. A very large
/// number if it is not set or holds no positive number.
[[nodiscard]] int cores_asked_for();

/// Cores that this process may keep busy: the least of the three above, at least 1.
[[nodiscard]] int available_cores();

}  // namespace apb
