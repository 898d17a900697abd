#include "reference/tools/mask_svg.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>

#include "reference/core/error.hpp"
#include "reference/tools/explain_text.hpp"
#include "reference/tools/mask_axes.hpp"

namespace apb {
namespace {

// Lengths in pixels.
constexpr double kCell = 28;
constexpr double kCellGap = 2;
constexpr double kSegmentGap = 12;
constexpr double kMargin = 28;
constexpr double kLeft = 104;  ///< where the columns start
constexpr double kTop = 150;   ///< where the rows start
constexpr double kLegendLine = 24;
constexpr double kShapesLength = 560;  ///< of the longer axis, if shapes stand for many pairs
constexpr double kShortestShape = 72;  ///< room for a segment's name
constexpr double kLeastWidth = 600;    ///< room for titles and legend
constexpr Index kMostCells = 64;       ///< rows or keys that are drawn one by one

constexpr std::string_view kUnseenColour = "#eef0f2";

// Orange, bluish green and blue of Okabe and Ito's colour-blind-safe palette.
std::string_view colour_of(Segment segment) {
  switch (segment) {
    case Segment::kAnchor:
      return "#e69f00";
    case Segment::kPassing:
      return "#009e73";
    case Segment::kBlock:
      break;
  }
  return "#0072b2";
}

/// A segment on an axis.
struct AxisPart {
  MaskSegment segment;
  double begin = 0;
  double length = 0;
};

/// The picture of one mask.
class MaskPicture {
 public:
  explicit MaskPicture(const Example& example) : example_(example), axes_(example) {
    const Index longest = std::max(axes_.num_rows(), axes_.num_keys());
    one_by_one_ = longest <= kMostCells;
    pixels_each_ = one_by_one_ ? kCell : kShapesLength / static_cast<double>(longest);
    rows_ = place(axes_.rows(), kTop);
    keys_ = place(axes_.keys(), kLeft);
  }

  [[nodiscard]] std::string draw() {
    add_titles();
    for (const AxisPart& part : keys_) add_column_heading(part);
    for (const AxisPart& part : rows_) add_row_heading(part);
    for (const AxisPart& row_part : rows_) {
      for (const AxisPart& key_part : keys_) {
        if (one_by_one_) {
          add_cells(row_part, key_part);
        } else {
          add_shape(row_part, key_part);
        }
      }
    }
    add_legend();
    return framed();
  }

 private:
  [[nodiscard]] std::vector<AxisPart> place(const std::vector<MaskSegment>& segments,
                                            double begin) const {
    std::vector<AxisPart> parts;
    for (const MaskSegment& segment : segments) {
      const double to_scale = static_cast<double>(segment.count) * pixels_each_;
      const double length = one_by_one_ ? to_scale : std::max(to_scale, kShortestShape);
      parts.push_back({segment, begin, length});
      begin += length + kSegmentGap;
    }
    return parts;
  }

  [[nodiscard]] static double end_of(const std::vector<AxisPart>& parts, double start) {
    return parts.empty() ? start : parts.back().begin + parts.back().length;
  }

  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    body_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }

  void add_text(double x, double y, std::string_view style, std::string_view text) {
    add("<text x='{:.1f}' y='{:.1f}' {}>{}</text>", x, y, style, text);
  }

  /// Text that runs upwards, centred at (x, y).
  void add_turned(double x, double y, std::string_view style, std::string_view text) {
    add("<text transform='translate({:.1f} {:.1f}) rotate(-90)' text-anchor='middle' {}>{}</text>",
        x, y, style, text);
  }

  void add_rect(double x, double y, double width, double height, double radius,
                std::string_view colour) {
    add(R"(<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="{:.0f}" fill="{}"/>)", x,
        y, width, height, radius, colour);
  }

  void add_titles() {
    const ApbConfig& config = example_.config;
    add_text(kMargin, 44, "class='title'",
             fmt::format("What rank {} of {} sees in {}", example_.rank,
                         with_separators(config.num_ranks), title_of(example_.method)));
    add_text(kMargin, 68, "class='small'", subtitle());
    add_text(kMargin, kTop - 12, "class='small'", "rows ↓");
    add_text(kMargin, kTop - 44, "class='small'", "keys →");
    if (rows_.empty()) add_text(kMargin, kTop, "", "This rank computes no rows.");
  }

  [[nodiscard]] std::string subtitle() const {
    const ApbConfig& config = example_.config;
    std::string text = fmt::format("{} on {}", counted(config.doc_len, "token"),
                                   counted(config.num_ranks, "rank"));
    const RankLayout& layout = example_.of(example_.rank);
    if (layout.anchor_rows > 0) {
      text += fmt::format(" · anchor of {} + {}", counted(config.embedded_query_len, "query row"),
                          counted(example_.anchor_tokens(), "token"));
    }
    if (!example_.kept.empty()) {
      text += fmt::format(" · each rank passes {}", counted(config.num_kept, "token"));
    }
    return text;
  }

  /// Font of a row's or key's own name: long names are set smaller.
  [[nodiscard]] static std::string label_style(std::string_view label, std::string_view anchor) {
    const double size = std::min(12.0, (kCell - 1) / (0.6 * static_cast<double>(label.size())));
    return fmt::format("font-size='{:.1f}' text-anchor='{}'", size, anchor);
  }

  void add_column_heading(const AxisPart& part) {
    const Segment segment = part.segment.segment;
    const double middle = part.begin + (part.length - kCellGap) / 2;
    add_text(middle, kTop - 44, "class='segment' text-anchor='middle'", segment_name(segment));
    add_rect(part.begin, kTop - 36, part.length - kCellGap, 5, 2, colour_of(segment));
    if (!one_by_one_) {
      add_text(middle, kTop - 12, "text-anchor='middle'", short_number(part.segment.count));
      return;
    }
    for (Index i = 0; i < part.segment.count; ++i) {
      const std::string label = axes_.label(segment, i);
      add_text(part.begin + (static_cast<double>(i) + 0.5) * kCell - kCellGap / 2, kTop - 12,
               label_style(label, "middle"), label);
    }
  }

  void add_row_heading(const AxisPart& part) {
    const Segment segment = part.segment.segment;
    const double middle = part.begin + (part.length - kCellGap) / 2;
    add_turned(kLeft - 56, middle, "class='segment'", segment_name(segment));
    add_rect(kLeft - 48, part.begin, 5, part.length - kCellGap, 2, colour_of(segment));
    if (!one_by_one_) {
      add_turned(kLeft - 14, middle, "", short_number(part.segment.count));
      return;
    }
    for (Index i = 0; i < part.segment.count; ++i) {
      const std::string label = axes_.label(segment, i);
      add_text(kLeft - 10, part.begin + (static_cast<double>(i) + 0.5) * kCell + 3,
               label_style(label, "end"), label);
    }
  }

  void add_cells(const AxisPart& rows, const AxisPart& keys) {
    for (Index row = 0; row < rows.segment.count; ++row) {
      for (Index key = 0; key < keys.segment.count; ++key) {
        const bool visible = seen({rows.segment.segment, row, row + 1},
                                  {keys.segment.segment, key, key + 1}) == Seen::kAll;
        add_rect(keys.begin + static_cast<double>(key) * kCell,
                 rows.begin + static_cast<double>(row) * kCell, kCell - kCellGap, kCell - kCellGap,
                 4, visible ? colour_of(keys.segment.segment) : kUnseenColour);
      }
    }
  }

  /// All pairs of two segments: seen, not seen, or seen below the diagonal.
  void add_shape(const AxisPart& rows, const AxisPart& keys) {
    const Seen all = seen({rows.segment.segment, 0, rows.segment.count},
                          {keys.segment.segment, 0, keys.segment.count});
    const std::string_view colour = colour_of(keys.segment.segment);
    add_rect(keys.begin, rows.begin, keys.length, rows.length, 0,
             all == Seen::kAll ? colour : kUnseenColour);
    if (all != Seen::kSome) return;
    add(R"(<polygon points="{0:.1f},{1:.1f} {0:.1f},{2:.1f} {3:.1f},{2:.1f}" fill="{4}"/>)",
        keys.begin, rows.begin, rows.begin + rows.length, keys.begin + keys.length, colour);
  }

  void add_legend_line(std::string_view colour, std::string_view text) {
    add_rect(kLeft, legend_end_, 14, 14, 3, colour);
    add_text(kLeft + 24, legend_end_ + 12, "class='small'", text);
    legend_end_ += kLegendLine;
  }

  void add_legend() {
    legend_end_ = end_of(rows_, kTop) + 24;
    for (const AxisPart& keys : keys_) {
      switch (keys.segment.segment) {
        case Segment::kAnchor:
          add_legend_line(colour_of(Segment::kAnchor),
                          "anchor: the query (q) and a copy of the document’s start (a)");
          break;
        case Segment::kPassing:
          add_legend_line(colour_of(Segment::kPassing),
                          "passing: keys and values that lower ranks kept (p)");
          break;
        case Segment::kBlock:
          add_legend_line(colour_of(Segment::kBlock), "block: the rank’s own tokens");
          break;
      }
    }
    add_legend_line(kUnseenColour, "not seen");
  }

  /// The whole file around the body.
  [[nodiscard]] std::string framed() const {
    const double width = std::max(end_of(keys_, kLeft) + kMargin, kLeastWidth);
    const double height = legend_end_ + 12;
    return fmt::format(
        R"(<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" viewBox="0 0 {0:.0f} {1:.0f}" role="img" font-family="Helvetica, Arial, sans-serif" font-size="13" fill="#24292f">
<title>Rows [anchor, block] by keys [anchor, passing, block] of rank {2}</title>
<style>.title {{ font-size: 20px; font-weight: bold }} .segment {{ font-size: 14px; font-weight: bold }} .small {{ font-size: 13px; fill: #57606a }}</style>
<rect x="0.5" y="0.5" width="{3:.0f}" height="{4:.0f}" rx="10" fill="#ffffff" stroke="#d0d7de"/>
{5}</svg>
)",
        width, height, example_.rank, width - 1, height - 1, body_);
  }

  const Example& example_;
  MaskAxes axes_;
  bool one_by_one_ = true;
  double pixels_each_ = kCell;
  std::vector<AxisPart> rows_;
  std::vector<AxisPart> keys_;
  double legend_end_ = 0;
  std::string body_;
};

}  // namespace

std::string mask_svg(const Example& example) {
  return MaskPicture(example).draw();
}

}  // namespace apb
