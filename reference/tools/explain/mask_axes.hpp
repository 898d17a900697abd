#pragma once
/// \file
/// The mask of one rank as pictures need it: rows [anchor, block] by keys [anchor, passing, block].

#include <string>
#include <vector>

#include "reference/tools/explain/example.hpp"

namespace apb {

/// Consecutive rows or keys of one segment; never none.
struct MaskSegment {
  Segment segment = Segment::kBlock;
  Index count = 0;
};

/// Rows or keys [first, last) of a segment.
struct MaskRange {
  Segment segment = Segment::kBlock;
  Index first = 0;
  Index last = 0;
};

/// How many pairs of a cell are visible.
enum class Seen { kNone, kSome, kAll };

/// Both axes of the drawn rank's mask.
class MaskAxes {
 public:
  explicit MaskAxes(const Example& example);

  [[nodiscard]] const std::vector<MaskSegment>& rows() const { return rows_; }
  [[nodiscard]] const std::vector<MaskSegment>& keys() const { return keys_; }
  [[nodiscard]] Index num_rows() const;
  [[nodiscard]] Index num_keys() const;

  /// q0 query row 0, a3 the anchor's copy of token 3, p5 what was kept of token 5, 12 token 12.
  [[nodiscard]] std::string label(Segment segment, Index index) const;

 private:
  const Example& example_;
  std::vector<MaskSegment> rows_;
  std::vector<MaskSegment> keys_;
  std::vector<Index> passing_doc_pos_;  ///< [passing_rows], KV head 0
};

/// "anchor", "passing" or "block".
[[nodiscard]] std::string_view segment_name(Segment segment);

/// How much of a cell, not empty, is visible.
[[nodiscard]] Seen seen(const MaskRange& rows, const MaskRange& keys);

}  // namespace apb
