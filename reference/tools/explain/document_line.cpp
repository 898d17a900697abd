#include "reference/tools/explain/document_line.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace apb {
namespace {

constexpr std::string_view kBetweenRanks = "│ ";
constexpr std::string_view kLeftOut = "│ … ";

}  // namespace

DocumentLines::DocumentLines(const Example& example, const Ink& ink)
    : example_(example), ink_(ink), shown_(example.shown_ranks()) {
  // Room for "15" or, where scores are drawn, for "p15" and ".53"; and a space.
  const auto digits = std::ssize(std::to_string(std::max(example.config.doc_len - 1, Index{0})));
  const auto text = example.kept.empty() ? digits : std::max(digits + 1, std::ptrdiff_t{3});
  cell_columns_ = static_cast<int>(text) + 1;
  if (line_columns() <= kTextWidth) return;
  cell_columns_ = 1;
  while (line_columns() > kTextWidth) tokens_per_cell_ *= 2;
}

Index DocumentLines::block_cells(int rank) const {
  const Index tokens = example_.of(rank).block_len;
  return (tokens + tokens_per_cell_ - 1) / tokens_per_cell_;
}

int DocumentLines::block_columns(int rank) const {
  // At least as wide as a title: "rank 12 " or, where cells are scaled, a number of tokens.
  const int title = cell_columns_ > 1 ? 8 : 9;
  return std::max(static_cast<int>(block_cells(rank)) * cell_columns_, title);
}

int DocumentLines::line_columns() const {
  int columns = kNameColumns;
  int previous = -1;
  for (const int rank : shown_) {
    columns += text_columns(kBetweenRanks) + block_columns(rank);
    if (rank > previous + 1) columns += text_columns(kLeftOut);
    previous = rank;
  }
  return columns;
}

std::string DocumentLines::line(std::string_view name,
                                const std::function<std::string(int rank)>& content) const {
  std::string text = pad_after(name, kNameColumns);
  int previous = -1;
  for (const int rank : shown_) {
    if (rank > previous + 1) text += ink_(Tint::kFaint, kLeftOut);
    text += ink_(Tint::kFaint, kBetweenRanks) + content(rank);
    previous = rank;
  }
  return text + "\n";
}

std::string DocumentLines::titles(std::string_view name,
                                  const std::function<std::string(int rank)>& title) const {
  return line(name, [&](int rank) { return pad_after(title(rank), block_columns(rank)); });
}

std::string DocumentLines::cells(
    std::string_view name,
    const std::function<Cell(int rank, Index first, Index last)>& cell) const {
  return line(name, [&](int rank) {
    const RankLayout& layout = example_.of(rank);
    std::string text;
    for (Index i = 0; i < block_cells(rank); ++i) {
      const Index first = layout.block_begin + i * tokens_per_cell_;
      const Cell content =
          cell(rank, first, std::min(first + tokens_per_cell_, layout.block_end()));
      const std::string padded = pad_after(content.text, cell_columns_);
      text += content.tint ? ink_(*content.tint, padded) : padded;
    }
    const Index used = block_cells(rank) * cell_columns_;
    return text + repeated(" ", block_columns(rank) - used);
  });
}

}  // namespace apb
