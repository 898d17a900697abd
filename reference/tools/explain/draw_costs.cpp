#include "reference/tools/explain/draw_costs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/core/plans/layer_work.hpp"
#include "reference/tools/explain/drawing.hpp"

namespace apb {
namespace {

constexpr int kRowsColumns = 7;
constexpr int kFlopColumns = 10;
constexpr int kBytesColumns = 10;
constexpr int kMethodColumns = kRowsColumns + kFlopColumns + kBytesColumns;

/// One method's work on every rank.
struct MethodWork {
  Method method;
  std::vector<Counters> ranks;

  [[nodiscard]] Index busiest_flop() const {
    Index most = 0;
    for (const Counters& rank : ranks) most = std::max(most, rank.attention_flop);
    return most;
  }
};

/// Full and Star, and APB if it is drawn.
std::vector<MethodWork> compared_methods(const Example& example, Index element_bytes) {
  std::vector<Method> methods{Method::kFull, Method::kStar};
  if (example.method == Method::kApb) methods.push_back(example.method);
  std::vector<MethodWork> compared;
  compared.reserve(methods.size());
  for (const Method method : methods) {
    compared.push_back({method, layer_work(method_config(method, example.given), element_bytes)});
  }
  return compared;
}

/// A name, then a cell a method.
template <class CellText>
std::string table_line(std::string_view name, const std::vector<MethodWork>& methods,
                       const Ink& ink, const CellText& cell) {
  std::string line = pad_after(name, kNameColumns);
  for (const MethodWork& work : methods) {
    line += ink(Tint::kFaint, "│ ") + pad_after(cell(work), kMethodColumns + 1);
  }
  return line + "\n";
}

/// "15,360 = 44.1 % of Full", or "38,400 = 12 × Full".
std::string busiest_text(const MethodWork& work, const MethodWork& full) {
  std::string text = short_number(work.busiest_flop());
  if (full.busiest_flop() == 0) return text;
  const double ratio =
      static_cast<double>(work.busiest_flop()) / static_cast<double>(full.busiest_flop());
  if (ratio >= 10) return text + fmt::format(" = {} × Full", short_number(std::llround(ratio)));
  return text + fmt::format(" = {:.{}f} % of Full", 100 * ratio, ratio < 0.01 ? 3 : 1);
}

}  // namespace

std::string draw_costs(const Example& example, Index element_bytes, const Ink& ink) {
  const std::vector<MethodWork> methods = compared_methods(example, element_bytes);
  const std::string sentence = fmt::format(
      "FLOPs of attention, and bytes received at {} an element. A layer waits for the busiest "
      "rank.",
      counted(element_bytes, "byte"));
  const auto three = [](std::string_view rows, std::string_view flop, std::string_view bytes) {
    return pad_before(rows, kRowsColumns) + pad_before(flop, kFlopColumns) +
           pad_before(bytes, kBytesColumns);
  };

  std::string text = section_heading(ink, 5, "WHAT IT COSTS, PER LAYER", sentence);
  text += table_line("", methods, ink, [](const MethodWork& work) {
    return pad_before(entry_of(work.method).title, kRowsColumns);
  });
  text += table_line("", methods, ink,
                     [&](const MethodWork&) { return three("rows", "FLOPs", "bytes"); });
  text += for_shown_ranks(example, [&](int rank) {
    return table_line(rank_name(rank), methods, ink, [&](const MethodWork& work) {
      const Counters& counters = work.ranks[static_cast<std::size_t>(rank)];
      return three(short_number(counters.rows_computed), short_number(counters.attention_flop),
                   short_number(counters.bytes_received));
    });
  });
  text += table_line("busiest", methods, ink, [&](const MethodWork& work) {
    return pad_before(busiest_text(work, methods.front()), kMethodColumns);
  });
  return text;
}

}  // namespace apb
