#pragma once
/// \file
/// How good a method's answers are, where somebody measured it: never interpolated, never invented.
/// Files: configs/quality/NAME.json.

#include <optional>
#include <string>
#include <vector>

#include "sim/work/job.hpp"

namespace apb::sim {

/// One published score.
struct QualityRow {
  std::string method;
  Index doc_len = 0;
  Index ranks = 0;  ///< 0: any
  std::optional<Index> anchor_len;
  std::optional<Index> num_kept;
  double score = 0;
};

struct QualityTable {
  std::string title;
  std::string source;
  std::string metric;
  std::vector<QualityRow> rows;

  /// The score of exactly this configuration, if the table has it. Exact methods share the row
  /// "exact".
  [[nodiscard]] std::optional<double> score_of(const Job& job) const;
};

/// \param name a name in configs/quality, or a .json file \throws BadInput
[[nodiscard]] QualityTable find_quality_table(const std::string& name);

}  // namespace apb::sim
