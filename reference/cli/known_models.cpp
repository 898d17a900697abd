#include "reference/cli/known_models.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "reference/cli/installed_files.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

std::string path_of(const std::string& name) {
  if (name.ends_with(".json")) return name;
  const std::vector<std::string> known = known_models();
  if (std::ranges::find(known, name) == known.end()) {
    throw BadInput("command line", "model", name,
                   fmt::format("one of {}, or a .json file", fmt::join(known, ", ")));
  }
  return own_file(fmt::format("configs/models/{}.json", name));
}

}  // namespace

std::vector<std::string> known_models() {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(own_file("configs/models"), error)) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::ranges::sort(names);
  return names;
}

ModelShapeFile find_model(const std::string& name) {
  return read_model_shape_file(path_of(name));
}

}  // namespace apb
