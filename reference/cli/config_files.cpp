#include "reference/cli/config_files.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "reference/cli/installed_files.hpp"
#include "reference/core/error.hpp"

namespace apb {

std::vector<std::string> config_names(std::string_view folder) {
  std::vector<std::string> names;
  std::error_code error;
  const std::filesystem::directory_iterator files(own_file(fmt::format("configs/{}", folder)),
                                                  error);
  for (const auto& entry : files) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

std::string config_path(std::string_view folder, std::string_view option,
                        const std::string& name_or_path) {
  if (name_or_path.ends_with(".json")) return name_or_path;
  const std::vector<std::string> known = config_names(folder);
  if (std::ranges::find(known, name_or_path) == known.end()) {
    throw BadInput("command line", option, name_or_path,
                   fmt::format("one of {}, or a .json file", fmt::join(known, ", ")));
  }
  return own_file(fmt::format("configs/{}/{}.json", folder, name_or_path));
}

}  // namespace apb
