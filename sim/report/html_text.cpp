#include "sim/report/html_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/cli/text_table.hpp"

namespace apb::sim::report {
namespace {

/// Decimals that make three digits of a number of at least 0.1, two below one: 0.76, 1.23, 12.3.
int decimals_for(double number) {
  if (number >= 99.95) return 0;
  return number >= 9.995 ? 1 : 2;
}

/// What is not broken into lines: a number with its unit, but no band behind it and no sentence.
bool looks_numeric(std::string_view cell) {
  constexpr std::string_view kDash = "–";
  if (cell == kDash) return true;
  if (cell.empty() || std::ranges::count(cell, ' ') > 1 || cell.ends_with(')')) return false;
  return std::string_view("+-.0123456789").find(cell[0]) != std::string_view::npos;
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '&') {
      safe += "&amp;";
    } else if (c == '<') {
      safe += "&lt;";
    } else if (c == '>') {
      safe += "&gt;";
    } else if (c == '"') {
      safe += "&quot;";
    } else if (c == '\'') {
      safe += "&#39;";
    } else if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') {
      safe += "\uFFFD";
    } else {
      safe += c;
    }
  }
  return safe;
}

std::string time_text(Seconds time) {
  if (!std::isfinite(time.number)) return "–";
  const double size = std::abs(time.number);
  constexpr double kRounding = 1e-12;  // what is left of sums that cancel; a clock cycle is longer
  if (size < kRounding) return "0 s";
  // A tenth of a second is still told in seconds: methods are compared around there.
  double shown = time.number;
  std::string_view unit = "s";
  if (size < 1e-4) {
    shown *= 1e6;
    unit = "µs";
  } else if (size < 0.1) {
    shown *= 1e3;
    unit = "ms";
  }
  if (size >= 9999.5) {
    return fmt::format("{} s", with_separators(static_cast<Index>(std::llround(shown))));
  }
  return fmt::format("{:.{}f} {}", shown, decimals_for(std::abs(shown)), unit);
}

std::string percent_text(double share) {
  return std::isfinite(share) ? fmt::format("{:.0f} %", 100 * share) : "–";
}

std::string number_text(double number) {
  if (!std::isfinite(number)) return "–";
  const double size = std::abs(number);
  if (size >= 999.5) return with_separators(static_cast<Index>(std::llround(number)));
  if (size < 0.1) return fmt::format("{:.3g}", number);
  return fmt::format("{:.{}f}", number, decimals_for(size));
}

std::string shortened(std::string_view text, int columns) {
  if (text_columns(text) <= columns) return std::string(text);
  std::size_t end = 0;
  for (int column = 0; column < columns - 1; ++column) {
    ++end;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) ++end;
  }
  return std::string(text.substr(0, end)) + "…";
}

double text_width(std::string_view text) {
  // Of DejaVu Sans, the widest that a browser may choose, at 13 pixels.
  double width = 0;
  for (const char c : text) {
    if ((static_cast<unsigned char>(c) & 0xC0U) == 0x80U) continue;  // inside a character
    if (std::string_view(" ijlt.,:;'|()[]fr").find(c) != std::string_view::npos) {
      width += 5.3;
    } else if (std::string_view("mwMW%@<>=+&").find(c) != std::string_view::npos) {
      width += 11.5;
    } else {
      width += c >= 'A' && c <= 'Z' ? 9.3 : 8.3;
    }
  }
  return width;
}

std::string html_table(const ReportTable& table) {
  constexpr std::size_t kManyColumns = 11;
  std::string html = fmt::format("<div class=\"wide\" tabindex=\"0\"><table{}>\n",
                                 table.header.size() >= kManyColumns ? " class=\"dense\"" : "");
  if (!table.title.empty()) html += fmt::format("<caption>{}</caption>\n", escaped(table.title));
  html += "<thead><tr>";
  for (const std::string& cell : table.header) {
    html += fmt::format("<th scope=\"col\">{}</th>", escaped(cell));
  }
  html += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    html += "<tr>";
    for (const std::string& cell : row) {
      html += looks_numeric(cell) ? "<td class=\"number\">" : "<td>";
      html += escaped(cell) + "</td>";
    }
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

}  // namespace apb::sim::report
