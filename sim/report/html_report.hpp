#pragma once
/// \file
/// A report as one HTML file that needs nothing else: pictures and style are inside, it runs no
/// scripts, and it follows the reader's choice of light or dark.

#include "sim/report/report_data.hpp"

namespace apb::sim::report {

/// The whole file. Text of `data` is plain and shown as it is, not as HTML.
[[nodiscard]] std::string html_report(const ReportData& data);

}  // namespace apb::sim::report
