#pragma once
/// \file
/// Data files that come with this project, by name: configs/FOLDER/NAME.json.

#include <string>
#include <string_view>
#include <vector>

namespace apb {

/// Names of the files in configs/`folder`, without .json, in order.
[[nodiscard]] std::vector<std::string> config_names(std::string_view folder);

/// Path of a file.
/// \param option       what the user calls it: the option that takes the name
/// \param name_or_path one of config_names(folder), or the path of a .json file
/// \throws BadInput if it is neither, listing the names
[[nodiscard]] std::string config_path(std::string_view folder, std::string_view option,
                                      const std::string& name_or_path);

}  // namespace apb
