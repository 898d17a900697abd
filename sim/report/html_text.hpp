#pragma once
/// \file
/// Words and numbers of a report, safe inside HTML.

#include <string>
#include <string_view>

#include "sim/report/report_data.hpp"

namespace apb::sim::report {

/// Text that HTML shows as it is, in elements and in attributes. Control characters, which XML
/// forbids, become the sign for an unknown character.
[[nodiscard]] std::string escaped(std::string_view text);

/// Three digits and a unit that suits: 0.76 s, 12.3 s, 41.5 ms. A dash if there is no number.
[[nodiscard]] std::string time_text(Seconds time);

/// 0.42 -> "42 %".
[[nodiscard]] std::string percent_text(double share);

/// Three digits and no unit: 3.1, 0.048. A dash if there is no number.
[[nodiscard]] std::string number_text(double number);

/// Text of at most `columns` characters; a longer one ends in an ellipsis.
[[nodiscard]] std::string shortened(std::string_view text, int columns);

/// Pixels that text of the size of the figures takes, at most.
[[nodiscard]] double text_width(std::string_view text);

/// A table that scrolls inside its own frame where it is wider than the page.
[[nodiscard]] std::string html_table(const ReportTable& table);

}  // namespace apb::sim::report
