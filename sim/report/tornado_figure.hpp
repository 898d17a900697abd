#pragma once
/// \file
/// Which input moves the answer most: two bars an input, from the base to either end.

#include "sim/report/figure.hpp"

namespace apb::sim::report {

[[nodiscard]] Figure tornado_figure(const std::vector<TornadoBar>& bars);

}  // namespace apb::sim::report
