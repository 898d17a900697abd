#pragma once
/// \file
/// Methods side by side, and where their order changes: as tables and as JSON.

#include <nlohmann/json.hpp>

#include "sim/predict/number_text.hpp"
#include "sim/study/break_even.hpp"

namespace apb::sim {

/// Where the order changes on a number of ranks.
struct OrderChanges {
  Index ranks = 0;
  std::vector<BreakEven> lengths;
  std::optional<NicBreakEven> nic;  ///< on several nodes
};

/// A row a method.
[[nodiscard]] Table table_of(const Comparison& comparison);
[[nodiscard]] Table csv_of(const std::vector<Comparison>& comparisons);
/// A row for each approximate method, a column for each exact one.
[[nodiscard]] Table table_of(const std::vector<BreakEven>& pairs);
[[nodiscard]] std::string text_of(const NicBreakEven& nic);
[[nodiscard]] nlohmann::ordered_json to_json(const Comparison& comparison);
[[nodiscard]] nlohmann::ordered_json to_json(const OrderChanges& changes);

}  // namespace apb::sim
