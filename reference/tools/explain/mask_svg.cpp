#include "reference/tools/explain/mask_svg.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/cli/svg_writer.hpp"
#include "reference/cli/text_table.hpp"
#include "reference/tools/explain/mask_axes.hpp"

namespace apb {
namespace {

// Lengths in pixels.
constexpr double kCell = 28;
constexpr double kGap = 2;  ///< between cells
constexpr double kSegmentGap = 12;
constexpr double kMargin = 28;
constexpr double kLeft = 104;  ///< where the columns start
constexpr double kTop = 150;   ///< where the rows start
constexpr double kLegendLine = 24;
constexpr double kShapesLength = 560;  ///< of the longer axis, if shapes stand for many pairs
constexpr double kShortestShape = 72;  ///< room for a segment's name
constexpr double kLeastWidth = 600;    ///< room for titles and legend

constexpr Index kMostCells = 64;  ///< rows or keys that are drawn one by one

constexpr std::string_view kUnseenColour = "#eef0f2";

// Orange, bluish green and blue of Okabe and Ito's colour-blind-safe palette.
std::string_view colour_of(Segment segment) {
  switch (segment) {
    case Segment::kAnchor:
      return "#e69f00";
    case Segment::kPassing:
      return "#009e73";
    case Segment::kBlock:
    case Segment::kQuery:
      break;
  }
  return "#0072b2";
}

std::string_view meaning_of(Segment segment) {
  switch (segment) {
    case Segment::kAnchor:
      return "anchor: the query (q) and a copy of the document’s start (a)";
    case Segment::kPassing:
      return "passing: keys and values kept by lower ranks (p), one bar per rank";
    case Segment::kBlock:
    case Segment::kQuery:
      break;
  }
  return "block: the rank’s own tokens";
}

/// A segment on an axis.
struct AxisPart {
  Segment segment = Segment::kBlock;
  Index count = 0;
  double begin = 0;
  double length = 0;  ///< with the gap after the last cell

  [[nodiscard]] double end() const { return begin + length; }
  [[nodiscard]] double middle() const { return begin + (length - kGap) / 2; }
  [[nodiscard]] double cell_begin(Index cell) const {
    return begin + static_cast<double>(cell) * kCell;
  }
  [[nodiscard]] MaskRange all() const { return {segment, 0, count}; }
  [[nodiscard]] MaskRange one(Index index) const { return {segment, index, index + 1}; }
};

/// The picture of one mask.
class MaskPicture {
 public:
  explicit MaskPicture(const Example& example) : example_(example), axes_(example) {
    const Index longest = std::max({axes_.num_rows(), axes_.num_keys(), Index{1}});
    one_by_one_ = longest <= kMostCells;
    pixels_each_ = one_by_one_ ? kCell : kShapesLength / static_cast<double>(longest);
    rows_ = place(axes_.rows(), kTop);
    keys_ = place(axes_.keys(), kLeft);
  }

  [[nodiscard]] std::string draw() {
    add_titles();
    for (const AxisPart& keys : keys_) add_column_heading(keys);
    for (const AxisPart& rows : rows_) add_row_heading(rows);
    for (const AxisPart& rows : rows_) {
      for (const AxisPart& keys : keys_) {
        if (one_by_one_) {
          add_cells(rows, keys);
        } else {
          add_shape(rows, keys);
        }
      }
    }
    const double height = add_legend();
    const double width = keys_.empty() ? 0 : keys_.back().end() + kMargin;
    return svg_.framed(std::max(width, kLeastWidth), height, title());
  }

 private:
  [[nodiscard]] std::vector<AxisPart> place(const std::vector<MaskSegment>& segments,
                                            double begin) {
    std::vector<AxisPart> parts;
    for (const auto& [segment, count] : segments) {
      const double to_scale = static_cast<double>(count) * pixels_each_;
      const double length = one_by_one_ ? to_scale : std::max(to_scale, kShortestShape);
      drawn_wider_ = drawn_wider_ || length > to_scale;
      parts.push_back({segment, count, begin, length});
      begin += length + kSegmentGap;
    }
    return parts;
  }

  [[nodiscard]] std::string title() const {
    return fmt::format("What rank {} (of ranks 0…{}) sees in {}", example_.rank,
                       example_.config.num_ranks - 1, entry_of(example_.method).title);
  }

  [[nodiscard]] std::string subtitle() const {
    const ApbConfig& config = example_.config;
    std::string text = fmt::format("{} on {}", counted(config.doc_len, "token"),
                                   counted(config.num_ranks, "rank"));
    if (example_.of(example_.rank).anchor_rows > 0) {
      text += fmt::format(" · anchor of {} + {}", counted(config.embedded_query_len, "query row"),
                          counted(example_.anchor_tokens(), "token"));
    }
    if (!example_.kept.empty()) {
      text += fmt::format(" · each rank passes {}", counted(config.num_kept, "token"));
    }
    return text;
  }

  void add_titles() {
    svg_.text(kMargin, 44, "class='title'", title());
    svg_.text(kMargin, 68, "class='small'", subtitle());
    if (rows_.empty()) {
      svg_.text(kMargin, kTop - 12, "", "This rank computes no rows.");
      return;
    }
    svg_.text(kMargin, kTop - 44, "class='small'", "keys →");
    svg_.text(kMargin, kTop - 12, "class='small'", "rows ↓");
  }

  /// Font of a row's or key's own name: long names are set smaller.
  [[nodiscard]] static std::string label_style(std::string_view label, std::string_view anchor) {
    const double size = std::min(12.0, (kCell - 1) / (0.6 * static_cast<double>(label.size())));
    return fmt::format("font-size='{:.1f}' text-anchor='{}'", size, anchor);
  }

  /// Keys under each bar of a column heading: those of a rank in the passing block, else all.
  [[nodiscard]] std::vector<Index> bar_counts(const AxisPart& keys) const {
    if (keys.segment != Segment::kPassing) return {keys.count};
    std::vector<Index> counts;
    for (int rank = 0; rank < example_.rank; ++rank) {
      if (const Index kept = example_.of(rank).num_kept; kept > 0) counts.push_back(kept);
    }
    return counts;
  }

  void add_column_heading(const AxisPart& keys) {
    svg_.text(keys.middle(), kTop - 44, "class='heading' text-anchor='middle'",
              segment_name(keys.segment));
    double bar_begin = keys.begin;
    for (const Index count : bar_counts(keys)) {
      const double length =
          keys.length * static_cast<double>(count) / static_cast<double>(keys.count);
      svg_.rect(bar_begin, kTop - 36, std::max(length - kGap, length / 2), 5, 2,
                colour_of(keys.segment));
      bar_begin += length;
    }
    if (!one_by_one_) {
      svg_.text(keys.middle(), kTop - 12, "text-anchor='middle'", short_number(keys.count));
      return;
    }
    for (Index key = 0; key < keys.count; ++key) {
      const std::string label = axes_.label(keys.segment, key);
      svg_.text(keys.cell_begin(key) + (kCell - kGap) / 2, kTop - 12, label_style(label, "middle"),
                label);
    }
  }

  void add_row_heading(const AxisPart& rows) {
    svg_.turned_text(kLeft - 56, rows.middle(), "class='heading'", segment_name(rows.segment));
    svg_.rect(kLeft - 48, rows.begin, 5, rows.length - kGap, 2, colour_of(rows.segment));
    if (!one_by_one_) {
      svg_.turned_text(kLeft - 14, rows.middle(), "", short_number(rows.count));
      return;
    }
    for (Index row = 0; row < rows.count; ++row) {
      const std::string label = axes_.label(rows.segment, row);
      svg_.text(kLeft - 10, rows.cell_begin(row) + kCell / 2 + 3, label_style(label, "end"), label);
    }
  }

  void add_cells(const AxisPart& rows, const AxisPart& keys) {
    for (Index row = 0; row < rows.count; ++row) {
      for (Index key = 0; key < keys.count; ++key) {
        const bool visible = seen(rows.one(row), keys.one(key)) == Seen::kAll;
        svg_.rect(keys.cell_begin(key), rows.cell_begin(row), kCell - kGap, kCell - kGap, 4,
                  visible ? colour_of(keys.segment) : kUnseenColour);
      }
    }
  }

  /// All pairs of two segments: seen, not seen, or seen below the diagonal.
  void add_shape(const AxisPart& rows, const AxisPart& keys) {
    const Seen all = seen(rows.all(), keys.all());
    const std::string_view colour = colour_of(keys.segment);
    svg_.rect(keys.begin, rows.begin, keys.length - kGap, rows.length - kGap, 0,
              all == Seen::kAll ? colour : kUnseenColour);
    if (all == Seen::kSome) {
      svg_.lower_triangle(keys.begin, rows.begin, keys.length - kGap, rows.length - kGap, colour);
    }
  }

  /// \returns where it ends
  double add_legend() {
    double y = (rows_.empty() ? kTop : rows_.back().end()) + 24;
    const auto add_line = [&](std::string_view colour, std::string_view text) {
      svg_.rect(kLeft, y, 14, 14, 3, colour);
      svg_.text(kLeft + 24, y + 12, "class='small'", text);
      y += kLegendLine;
    };
    for (const AxisPart& keys : keys_) add_line(colour_of(keys.segment), meaning_of(keys.segment));
    add_line(kUnseenColour, "not seen");
    if (drawn_wider_) {
      svg_.text(kLeft + 24, y + 12, "class='small'",
                "Short segments are drawn wider than to scale.");
      y += kLegendLine;
    }
    return y + 12;
  }

  const Example& example_;
  MaskAxes axes_;
  bool one_by_one_ = true;
  double pixels_each_ = kCell;
  bool drawn_wider_ = false;
  std::vector<AxisPart> rows_;
  std::vector<AxisPart> keys_;
  SvgWriter svg_;
};

}  // namespace

std::string mask_svg(const Example& example) {
  return MaskPicture(example).draw();
}

}  // namespace apb
