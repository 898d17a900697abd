#pragma once
/// \file
/// Speedup over a baseline against length: one line a method, its band shaded.

#include "sim/report/figure.hpp"

namespace apb::sim::report {

/// \param baseline what the speedup is over, e.g. "tensor parallelism on the same GPUs"
[[nodiscard]] Figure line_figure(const std::vector<Series>& series, std::string_view baseline);

}  // namespace apb::sim::report
