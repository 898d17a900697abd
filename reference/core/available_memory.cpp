#include "reference/core/available_memory.hpp"

#include <algorithm>
#include <fstream>
#include <limits>
#include <string>
#include <string_view>

namespace apb {
namespace {

namespace fs = std::filesystem;

constexpr double kNotTold = std::numeric_limits<double>::infinity();

/// The number after a word, in a file of lines that begin with words; infinity if there is none.
double number_after(const fs::path& path, const std::string& word) {
  std::ifstream file(path);
  std::string found;
  for (std::string rest; file >> found; std::getline(file, rest)) {
    double number = 0;
    if (found == word && file >> number) return number;
  }
  return kNotTold;
}

/// What a group's limit leaves, beside the memory of its processes; the pages of files that count
/// as its own can be dropped.
double left_in_group(const fs::path& group) {
  std::ifstream file(group / "memory.max");
  double most = 0;
  if (!(file >> most)) return kNotTold;  // "max": no limit
  const double taken = number_after(group / "memory.stat", "anon");
  return taken == kNotTold ? most : std::max(0.0, most - taken);
}

/// In a container the group's path may be the host's, which is not mounted here: then only the part
/// that exists counts, and always the mounted root.
double left_in_groups(const MemoryFiles& files) {
  constexpr std::string_view kVersion2 = "0::";
  double left = left_in_group(files.root);
  std::ifstream membership(files.membership);
  for (std::string line; std::getline(membership, line);) {
    if (!line.starts_with(kVersion2)) continue;
    fs::path folder = files.root;
    for (const fs::path& name : fs::path(line.substr(kVersion2.size())).relative_path()) {
      folder /= name;
      left = std::min(left, left_in_group(folder));
    }
  }
  return left;
}

}  // namespace

std::optional<double> available_memory_bytes(const MemoryFiles& files) {
  const double machine = number_after(files.meminfo, "MemAvailable:") * 1024;
  const double left = std::min(machine, left_in_groups(files));
  return left == kNotTold ? std::nullopt : std::optional(left);
}

}  // namespace apb
