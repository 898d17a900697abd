#pragma once
/// \file
/// What `apb bench` prints and writes.

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "cuda/tools/bench/bench_results.hpp"

namespace apb::cuda {

/// One length: a line a rank with the time of each part, ms.
[[nodiscard]] std::string length_text(const LengthTimes& times);

/// All lengths side by side: a layer by each method, and how many times faster APB is.
[[nodiscard]] std::string summary_text(const BenchResults& results);

/// A line for each part of each rank, with a heading.
[[nodiscard]] std::string bench_csv(const BenchResults& results);

/// The lists "gemm" and "attention" of that file.
[[nodiscard]] nlohmann::json products_json(const std::vector<ProductTime>& products);
[[nodiscard]] nlohmann::json attention_json(const std::vector<AttentionTime>& attention);

/// Schema "apb-bench", which `apb sim calibrate --bench` reads (docs/machines.md).
[[nodiscard]] nlohmann::json bench_json(const BenchResults& results);

}  // namespace apb::cuda
