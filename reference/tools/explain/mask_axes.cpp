#include "reference/tools/explain/mask_axes.hpp"

#include <fmt/format.h>

#include "reference/attention/visibility.hpp"

namespace apb {
namespace {

Index total(const std::vector<MaskSegment>& segments) {
  Index sum = 0;
  for (const MaskSegment& segment : segments) sum += segment.count;
  return sum;
}

}  // namespace

MaskAxes::MaskAxes(const Example& example)
    : example_(example), passing_doc_pos_(example.passing_doc_pos(example.rank)) {
  const RankLayout& layout = example.of(example.rank);
  const auto add = [](std::vector<MaskSegment>& axis, Segment segment, Index count) {
    if (count > 0) axis.push_back({segment, count});
  };
  add(rows_, Segment::kAnchor, layout.anchor_rows);
  add(rows_, Segment::kBlock, layout.block_len);
  add(keys_, Segment::kAnchor, layout.anchor_rows);
  add(keys_, Segment::kPassing, layout.passing_rows);
  add(keys_, Segment::kBlock, layout.block_len);
}

Index MaskAxes::num_rows() const {
  return total(rows_);
}
Index MaskAxes::num_keys() const {
  return total(keys_);
}

std::string MaskAxes::label(Segment segment, Index index) const {
  if (segment == Segment::kPassing) {
    return fmt::format("p{}", passing_doc_pos_.at(static_cast<std::size_t>(index)));
  }
  const Index before = segment == Segment::kBlock ? example_.of(example_.rank).anchor_rows : 0;
  return example_.row_label(example_.rank, before + index);
}

std::string_view segment_name(Segment segment) {
  switch (segment) {
    case Segment::kAnchor:
      return "anchor";
    case Segment::kPassing:
      return "passing";
    case Segment::kBlock:
    case Segment::kQuery:
      break;
  }
  return "block";
}

Seen seen(const MaskRange& rows, const MaskRange& keys) {
  // A row sees a prefix of each segment, and later rows see no less: two corners decide.
  if (is_visible(rows.segment, rows.first, keys.segment, keys.last - 1)) return Seen::kAll;
  if (is_visible(rows.segment, rows.last - 1, keys.segment, keys.first)) return Seen::kSome;
  return Seen::kNone;
}

}  // namespace apb
