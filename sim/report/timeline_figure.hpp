#pragma once
/// \file
/// What every rank does when: a row for each rank's compute stream and one for its communication.

#include "sim/report/figure.hpp"

namespace apb::sim::report {

/// \param of method and layers, for heading and caption; may be empty
[[nodiscard]] Figure timeline_figure(const std::vector<Interval>& intervals, int num_ranks,
                                     std::string_view of);

}  // namespace apb::sim::report
