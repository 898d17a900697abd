#pragma once
/// \file
/// The document as one line of cells, cut over the ranks.

#include <functional>
#include <optional>
#include <string>

#include "reference/cli/text_table.hpp"
#include "reference/tools/explain/example.hpp"

namespace apb {

/// What is written in one cell.
struct Cell {
  std::string text;
  std::optional<Tint> tint;
};

/// Lines that all cut the document in the same way: a cell is one token with room for its name if
/// the whole document fits, else one character that may stand for many tokens. A cell never spans
/// two ranks.
class DocumentLines {
 public:
  DocumentLines(const Example& example, const Ink& ink);

  /// Whether cells have room for more than one character.
  [[nodiscard]] bool labelled() const { return cell_columns_ > 1; }
  [[nodiscard]] Index tokens_per_cell() const { return tokens_per_cell_; }
  [[nodiscard]] int cell_columns() const { return cell_columns_; }

  /// One text a rank, above its cells.
  [[nodiscard]] std::string titles(std::string_view name,
                                   const std::function<std::string(int rank)>& title) const;
  /// \param cell what to write for document tokens [first, last) of a rank
  [[nodiscard]] std::string cells(
      std::string_view name,
      const std::function<Cell(int rank, Index first, Index last)>& cell) const;

 private:
  [[nodiscard]] Index block_cells(int rank) const;
  [[nodiscard]] int block_columns(int rank) const;
  [[nodiscard]] int line_columns() const;
  [[nodiscard]] std::string line(std::string_view name,
                                 const std::function<std::string(int rank)>& content) const;

  const Example& example_;
  const Ink& ink_;
  std::vector<int> shown_;
  Index tokens_per_cell_ = 1;
  int cell_columns_ = 0;
};

}  // namespace apb
