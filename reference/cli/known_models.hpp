#pragma once
/// \file
/// The models whose shapes come with this project: configs/models/NAME.json.

#include <string>
#include <vector>

#include "reference/core/weights/model_shape_file.hpp"

namespace apb {

/// Names of the files in configs/models, without .json, in order.
[[nodiscard]] std::vector<std::string> known_models();

/// \param name one of known_models(), or the path of a .json file
/// \throws BadInput if it is neither, or as read_model_shape_file
[[nodiscard]] ModelShapeFile find_model(const std::string& name);

}  // namespace apb
