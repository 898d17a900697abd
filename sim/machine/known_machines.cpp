#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "reference/cli/installed_files.hpp"
#include "reference/core/error.hpp"
#include "sim/machine/profile_file.hpp"

namespace apb::sim {

std::vector<std::string> known_machines() {
  std::vector<std::string> names;
  std::error_code error;
  const std::filesystem::directory_iterator files(own_file("configs/machines"), error);
  for (const auto& entry : files) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string machine_path(const std::string& name_or_path) {
  if (name_or_path.ends_with(".json")) return name_or_path;
  const std::vector<std::string> known = known_machines();
  if (std::ranges::find(known, name_or_path) == known.end()) {
    throw BadInput("command line", "machine", name_or_path,
                   fmt::format("one of {}, or a .json file", fmt::join(known, ", ")));
  }
  return own_file(fmt::format("configs/machines/{}.json", name_or_path));
}

MachineProfile find_machine(const std::string& name_or_path) {
  return read_machine_profile(machine_path(name_or_path));
}

}  // namespace apb::sim
