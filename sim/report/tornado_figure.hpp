#pragma once
/// \file
/// Which input moves the answer most: two bars an input, from the base to either end.

#include "sim/report/figure.hpp"

namespace apb::sim::report {

/// \param of whose time it is, e.g. "APB"; may be empty
[[nodiscard]] Figure tornado_figure(const std::vector<TornadoBar>& bars, std::string_view of);

}  // namespace apb::sim::report
