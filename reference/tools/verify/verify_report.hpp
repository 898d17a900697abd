#pragma once
/// \file
/// What `apb verify` prints, and its JSON.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "reference/verify/plugin_grid.hpp"

namespace apb {

/// Table of verdicts, what was not judged, diagnoses.
[[nodiscard]] std::string judgement_text(const Judgement& judgement);
[[nodiscard]] nlohmann::json judgement_json(const Judgement& judgement);

/// A line per shape that fails, its diagnosis under it, and a count at the end.
[[nodiscard]] std::string plugin_text(const std::vector<ShapeResult>& results);
[[nodiscard]] nlohmann::json plugin_json(const std::vector<ShapeResult>& results);

}  // namespace apb
