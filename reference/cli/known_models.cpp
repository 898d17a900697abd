#include "reference/cli/known_models.hpp"

#include "reference/cli/config_files.hpp"

namespace apb {

std::vector<std::string> known_models() {
  return config_names("models");
}

ModelShapeFile find_model(const std::string& name) {
  return read_model_shape_file(config_path("models", "model", name));
}

}  // namespace apb
