#include "sim/predict/number_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "reference/cli/text_table.hpp"

namespace apb::sim {
namespace {

struct UnitName {
  double size;
  const char* name;
};

/// Three digits, no exponent: 12.3, 4.56, 789, 1234.
std::string three_digits(double number) {
  if (number == 0) return "0";
  const double digits = 2 - std::floor(std::log10(std::abs(number)) + 1e-9);
  return fmt::format("{:.{}f}", number, static_cast<int>(std::clamp(digits, 0.0, 9.0)));
}

template <std::size_t count>
std::string with_unit(double number, const std::array<UnitName, count>& units) {
  const auto* unit = std::find_if(units.begin(), units.end(), [&](const UnitName& one) {
    return std::abs(number) >= one.size;
  });
  if (unit == units.end()) unit = units.end() - 1;
  return fmt::format("{} {}", three_digits(number / unit->size), unit->name);
}

std::string quoted(const std::string& cell) {
  if (cell.find_first_of(",\"\n") == std::string::npos) return cell;
  std::string text = "\"";
  for (const char letter : cell) text += letter == '"' ? "\"\"" : std::string(1, letter);
  return text + "\"";
}

}  // namespace

std::string text_of(Seconds time) {
  constexpr std::array<UnitName, 3> kUnits{{{1, "s"}, {1e-3, "ms"}, {1e-6, "us"}}};
  return with_unit(time.number, kUnits);
}

std::string text_of(Bytes bytes) {
  constexpr std::array<UnitName, 5> kUnits{
      {{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}, {1, "B"}}};
  return with_unit(bytes.number, kUnits);
}

std::string text_of(const Band& band) {
  return fmt::format("{} … {}", text_of(band.p10), text_of(band.p90));
}

std::string times_text(double ratio) {
  return three_digits(ratio) + "x";
}

std::string percent_text(double part) {
  return fmt::format("{:.1f} %", 100 * part);
}

std::string error_text(double part) {
  return fmt::format("{:+.1f} %", 100 * part);
}

std::string Table::text() const {
  std::vector<int> widths(header.size(), 0);
  const auto measure = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i)
      widths[i] = std::max(widths[i], text_columns(cells[i]));
  };
  measure(header);
  for (const auto& row : rows) measure(row);
  std::string text;
  const auto line = [&](const std::vector<std::string>& cells) {
    std::string one;
    for (std::size_t i = 0; i < cells.size(); ++i) {
      one += i == 0 ? pad_after(cells[i], widths[i]) : "  " + pad_before(cells[i], widths[i]);
    }
    text += without_trailing_spaces(one) + "\n";
  };
  line(header);
  for (const auto& row : rows) line(row);
  return text;
}

std::string Table::csv() const {
  std::string text;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) text += (i == 0 ? "" : ",") + quoted(cells[i]);
    text += "\n";
  };
  line(header);
  for (const auto& row : rows) line(row);
  return text;
}

}  // namespace apb::sim
