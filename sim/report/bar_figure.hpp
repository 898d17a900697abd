#pragma once
/// \file
/// Where each method's time goes: one bar a method, stacked by part, its band as a whisker.

#include "sim/report/figure.hpp"

namespace apb::sim::report {

[[nodiscard]] Figure bar_figure(const std::vector<PartBar>& bars);

}  // namespace apb::sim::report
