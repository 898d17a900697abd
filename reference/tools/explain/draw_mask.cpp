#include "reference/tools/explain/draw_mask.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/core/plans/layer_work.hpp"
#include "reference/tools/explain/drawing.hpp"
#include "reference/tools/explain/mask_axes.hpp"

namespace apb {
namespace {

constexpr int kSegmentColumns = 7;  ///< "anchor", "block" at the left
constexpr int kLabelColumns = 8;    ///< names of rows
constexpr Index kMaxRowCells = 32;

/// The mask of the drawn rank as lines of text.
class MaskText {
 public:
  MaskText(const Example& example, const Ink& ink) : axes_(example), ink_(ink) {
    Index longest = 0;
    for (const MaskSegment& keys : axes_.keys()) {
      longest = std::max(longest, std::ssize(axes_.label(keys.segment, keys.count - 1)));
    }
    cell_columns_ = static_cast<int>(longest) + 2;
    if (fits()) return;
    cell_columns_ = 2;
    while (!fits()) per_cell_ *= 2;
  }

  [[nodiscard]] Index per_cell() const { return per_cell_; }
  /// Whether columns have names of their own.
  [[nodiscard]] bool labelled() const { return cell_columns_ > 2; }

  [[nodiscard]] std::string draw() const {
    std::string text = titles();
    if (labelled()) text += key_labels();
    for (const MaskSegment& rows : axes_.rows()) {
      for (Index cell = 0; cell < cells(rows); ++cell) text += row(range(rows, cell));
    }
    return text;
  }

 private:
  [[nodiscard]] Index cells(const MaskSegment& segment) const {
    return (segment.count + per_cell_ - 1) / per_cell_;
  }

  [[nodiscard]] MaskRange range(const MaskSegment& segment, Index cell) const {
    const Index first = cell * per_cell_;
    return {segment.segment, first, std::min(first + per_cell_, segment.count)};
  }

  [[nodiscard]] std::string title(const MaskSegment& keys) const {
    return fmt::format("{} {}", segment_name(keys.segment), with_separators(keys.count));
  }

  [[nodiscard]] int columns(const MaskSegment& keys) const {
    const int title_columns = text_columns(title(keys)) + 1;
    const int marks_columns = static_cast<int>(cells(keys)) * cell_columns_ + (labelled() ? 0 : 1);
    return std::max(marks_columns, title_columns);
  }

  [[nodiscard]] bool fits() const {
    int columns_used = kSegmentColumns + kLabelColumns + 1;
    for (const MaskSegment& keys : axes_.keys()) columns_used += 2 + columns(keys);
    Index row_cells = 0;
    for (const MaskSegment& rows : axes_.rows()) row_cells += cells(rows);
    return columns_used <= kTextWidth && row_cells <= kMaxRowCells;
  }

  [[nodiscard]] std::string bar() const { return ink_(Tint::kFaint, "│ "); }

  [[nodiscard]] std::string titles() const {
    std::string line = repeated(" ", kSegmentColumns + kLabelColumns + 1);
    for (const MaskSegment& keys : axes_.keys()) {
      line += bar() + ink_(tint_of(keys.segment), pad_after(title(keys), columns(keys)));
    }
    return line + "\n";
  }

  [[nodiscard]] std::string key_labels() const {
    std::string line = repeated(" ", kSegmentColumns + kLabelColumns + 1);
    for (const MaskSegment& keys : axes_.keys()) {
      std::string labels;
      for (Index key = 0; key < keys.count; ++key) {
        labels += pad_after(axes_.label(keys.segment, key), cell_columns_);
      }
      line += bar() + ink_(tint_of(keys.segment), pad_after(labels, columns(keys)));
    }
    return line + "\n";
  }

  /// One line; a segment's name stands on its first.
  [[nodiscard]] std::string row(const MaskRange& rows) const {
    const std::string_view name = rows.first == 0 ? segment_name(rows.segment) : "";
    std::string line = ink_(tint_of(rows.segment),
                            pad_after(name, kSegmentColumns) +
                                pad_before(axes_.label(rows.segment, rows.first), kLabelColumns)) +
                       " ";
    for (const MaskSegment& keys : axes_.keys()) {
      std::string marks;
      for (Index cell = 0; cell < cells(keys); ++cell) marks += mark(seen(rows, range(keys, cell)));
      line += bar() + ink_(tint_of(keys.segment), pad_after(marks, columns(keys)));
    }
    return line + "\n";
  }

  [[nodiscard]] std::string mark(Seen visible) const {
    if (visible == Seen::kNone) return pad_after("·", cell_columns_);
    if (labelled()) return pad_after("■", cell_columns_);
    return visible == Seen::kAll ? "██" : "▒▒";
  }

  MaskAxes axes_;
  const Ink& ink_;
  Index per_cell_ = 1;
  int cell_columns_ = 0;
};

/// The rule of visibility, as far as this rank's segments go.
std::string rule(const RankLayout& layout) {
  if (layout.rows() == 0) return "Nothing: this rank computes no rows.";
  std::string text;
  std::string others;
  if (layout.anchor_rows > 0) {
    text = "Anchor rows see the anchor up to themselves. ";
    others = "all of the anchor, ";
  }
  if (layout.passing_rows > 0) others += "all of the passing block, ";
  if (!others.empty()) others += "and ";
  return text + fmt::format("Block rows see {}the block up to themselves.", others);
}

std::string legend(const MaskText& mask) {
  if (mask.labelled()) return "One line a row, one column a key: ■ is seen, · is not.";
  return fmt::format("A cell is {}{} by {}: █ all seen, ▒ some, · none.",
                     mask.per_cell() > 1 ? "up to " : "", counted(mask.per_cell(), "row"),
                     counted(mask.per_cell(), "key"));
}

}  // namespace

std::string draw_mask(const Example& example, const Ink& ink) {
  const RankLayout& layout = example.of(example.rank);
  const std::string heading =
      fmt::format("WHAT RANK {} SEES: {} of {} pairs, each {} FLOPs (4 × head_dim) per query head",
                  example.rank, short_number(visible_pairs(layout)),
                  short_number(layout.rows() * (layout.rows() + layout.passing_rows)),
                  with_separators(4 * example.config.head_dim));
  if (layout.rows() == 0) return section_heading(ink, 4, heading, rule(layout));
  const MaskText mask(example, ink);
  return section_heading(ink, 4, heading, rule(layout) + " " + legend(mask)) + mask.draw();
}

}  // namespace apb
