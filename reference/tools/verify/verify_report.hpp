#pragma once
/// \file
/// What `apb verify` prints, and its JSON.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "reference/verify/plugin_grid.hpp"

namespace apb {

/// Table of verdicts, what was not judged, diagnoses. After a failure, or if `with_others`, what
/// others would have said.
[[nodiscard]] std::string judgement_text(const Judgement& judgement, bool with_others);
[[nodiscard]] nlohmann::json judgement_json(const Judgement& judgement);

/// A line per shape that fails, its diagnosis under it, and a count at the end. After a failure, or
/// if `with_others`, how many shapes others would have passed.
[[nodiscard]] std::string plugin_text(const std::vector<ShapeResult>& results, bool with_others);
[[nodiscard]] nlohmann::json plugin_json(const std::vector<ShapeResult>& results);

}  // namespace apb
