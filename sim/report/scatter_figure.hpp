#pragma once
/// \file
/// Configurations by time and price (GPUs, or cost): those that nothing else beats carry numbers.

#include "sim/report/figure.hpp"

namespace apb::sim::report {

[[nodiscard]] Figure scatter_figure(const std::vector<ParetoPoint>& points);

}  // namespace apb::sim::report
