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

/// Spava's ranks hold two chunks, each of which keeps entries: half of them each, so that a rank
/// passes as much as APB's (in the papers 1/64 of the document a block, and 1/128 a chunk).
ApbConfig like_with_like(Method method, ApbConfig config) {
  if (method == Method::kSpava) config.num_kept /= 2;
  return config;
}

std::optional<std::vector<Counters>> work_of(Method method, const ApbConfig& config,
                                             Index element_bytes) {
  try {
    return method_work(method, method_config(method, like_with_like(method, config)),
                       element_bytes);
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
  if (example.given.num_kept == 0) return text;
  const Index kept = like_with_like(Method::kSpava, example.given).num_kept;
  return text + wrapped(fmt::format("Each of spava's two chunks a rank keeps {}, half of what a "
                                    "block of apb keeps, so that both pass as much.",
                                    with_separators(kept)));
}

}  // namespace apb
