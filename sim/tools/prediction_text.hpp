#pragma once
/// \file
/// A prediction as tables and as JSON.

#include <nlohmann/json.hpp>

#include "sim/predict/number_text.hpp"
#include "sim/predict/predict.hpp"

namespace apb::sim {

/// "APB on 8 GPUs (8 ranks)": method, GPUs and how they are used.
[[nodiscard]] std::string job_title(const Job& job);

/// Where the time of some ranks goes, a column each: the first, the slowest, the mean.
[[nodiscard]] Table parts_table(const Prediction& prediction);

/// "measured 20 %, interpolated 75 %, datasheet 5 %": of the prefill's device time.
[[nodiscard]] std::string provenance_text(const ProvenanceTime& provenance);

[[nodiscard]] nlohmann::ordered_json to_json(const Job& job);
[[nodiscard]] nlohmann::ordered_json to_json(const Band& band);
[[nodiscard]] nlohmann::ordered_json to_json(const Prediction& prediction);

/// The rank that finishes its prefill last.
[[nodiscard]] std::size_t slowest_rank(const Prediction& prediction);

}  // namespace apb::sim
