#pragma once
/// \file
/// What `apb scale` prints and writes.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cuda/tools/scale/scale_results.hpp"

namespace apb::cuda {

/// What was measured where.
[[nodiscard]] std::string heading_text(const ScaleResults& results);

/// Every size of every exchange, a column each way, busbw in GB/s; the plain eager one with its
/// time, algbw and spread too.
[[nodiscard]] std::string exchanges_text(const ScaleResults& results);

/// One length: a line a method, then the parts of each rank.
[[nodiscard]] std::string layers_text(const ScaleResults& results, Index doc_len);

[[nodiscard]] std::string prefills_text(const ScaleResults& results);

/// A line for each number measured, with a heading.
[[nodiscard]] std::string scale_csv(const ScaleResults& results);

/// Schema "apb-bench" (docs/machines.md).
[[nodiscard]] nlohmann::json scale_json(const ScaleResults& results);

}  // namespace apb::cuda
