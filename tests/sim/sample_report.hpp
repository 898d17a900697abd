#pragma once
/// \file
/// Reports as a user sees them, with made-up numbers.

#include "sim/report/report_data.hpp"

namespace apb::sim::report {

/// All sections, of usual size.
[[nodiscard]] ReportData sample_report();

/// All sections, fuller and with longer names than anybody should have.
[[nodiscard]] ReportData crowded_report();

}  // namespace apb::sim::report
