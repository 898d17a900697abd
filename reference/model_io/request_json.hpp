#pragma once
/// \file
/// Requests and results as JSON: how a job reaches the ranks, and what --json prints.

#include <nlohmann/json.hpp>

#include "reference/model/evaluate.hpp"

namespace apb {

void to_json(nlohmann::json& json, const ApbConfig& config);
void from_json(const nlohmann::json& json, ApbConfig& config);
void to_json(nlohmann::json& json, const EvaluationRequest& request);
void from_json(const nlohmann::json& json, EvaluationRequest& request);
void to_json(nlohmann::json& json, const Counters& counters);

}  // namespace apb
