#pragma once
/// \file
/// How much memory this process may still take.

#include <filesystem>
#include <optional>

namespace apb {

/// Where limits on memory are read. Tests put folders of their own here.
struct MemoryFiles {
  std::filesystem::path meminfo = "/proc/meminfo";
  std::filesystem::path root = "/sys/fs/cgroup";           ///< where control groups are mounted
  std::filesystem::path membership = "/proc/self/cgroup";  ///< which group this process is in
};

/// Bytes that can be taken before the kernel ends processes: what the machine has free or can free,
/// and what the control group (version 2) and all above it leave. Nothing if neither is told.
[[nodiscard]] std::optional<double> available_memory_bytes(const MemoryFiles& files = {});

}  // namespace apb
