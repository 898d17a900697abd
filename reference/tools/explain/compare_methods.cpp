#include "reference/tools/explain/compare_methods.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "reference/core/error.hpp"
#include "reference/tools/explain/drawing.hpp"

namespace apb {
namespace {

constexpr int kNumberColumns = 10;

/// The largest value over ranks.
Index busiest(const std::vector<Counters>& ranks, std::int64_t Counters::*count) {
  Index most = 0;
  for (const Counters& rank : ranks) most = std::max(most, rank.*count);
  return most;
}

std::optional<std::vector<Counters>> work_of(Method method, const ApbConfig& config,
                                             Index element_bytes) {
  try {
    return method_work(method, method_config(method, config), element_bytes);
  } catch (const BadInput&) {
    return std::nullopt;
  }
}

/// "5.2 %", or "12 ×" from ten times on.
std::string share(Index part, Index whole) {
  if (whole == 0) return "–";
  const double ratio = static_cast<double>(part) / static_cast<double>(whole);
  if (ratio >= 10) return short_number(std::llround(ratio)) + " ×";
  return fmt::format("{:.1f} %", 100 * ratio);
}

}  // namespace

std::string draw_methods(const Example& example, Index element_bytes, const Ink& ink) {
  const auto line = [](std::string_view name, const std::array<std::string, 4>& cells,
                       std::string_view words) {
    std::string text = pad_after(name, kNameColumns + 1);
    for (const std::string& cell : cells) text += pad_before(cell, kNumberColumns);
    return text + "  " + std::string(words) + "\n";
  };
  std::string text =
      section_heading(ink, 6, "EVERY METHOD, PER LAYER",
                      "The busiest rank of each. – stands where a method cannot be cut this way.");
  text += line("", {"rows", "FLOPs", "of Full", "bytes in"}, "");
  const Index full_flop = busiest(
      method_work(Method::kFull, method_config(Method::kFull, example.given), element_bytes),
      &Counters::attention_flop);
  for (const MethodEntry& entry : kMethodList) {
    const auto work = work_of(entry.method, example.given, element_bytes);
    if (!work) {
      text += line(entry.name, {"–", "–", "–", "–"}, entry.summary);
      continue;
    }
    const Index flop = busiest(*work, &Counters::attention_flop);
    text += line(entry.name,
                 {short_number(busiest(*work, &Counters::rows_computed)), short_number(flop),
                  share(flop, full_flop), short_number(busiest(*work, &Counters::bytes_received))},
                 entry.summary);
  }
  return text;
}

}  // namespace apb
