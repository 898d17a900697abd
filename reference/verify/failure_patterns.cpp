#include "reference/verify/failure_patterns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace apb {
namespace {

constexpr std::array<Index, 4> kTileHeights{16, 32, 64, 128};
constexpr double kInf = std::numeric_limits<double>::infinity();

/// A run of rows that tiles may be counted from.
struct Frame {
  std::string_view name;
  Index begin = 0;
  Index end = 0;
};

std::vector<Frame> frames_of(const WrongResult& wrong) {
  const Index anchor = wrong.setup.anchor_rows;
  const Index rows = wrong.setup.query.rows;
  if (anchor == 0) return {{"rows", 0, rows}};
  return {{"rows", 0, rows}, {"anchor rows", 0, anchor}, {"block rows", anchor, rows}};
}

std::vector<Index> row_numbers(const WrongResult& wrong, const FailingRows& failing) {
  std::vector<Index> rows;
  for (const Index i : failing.rows) rows.push_back(wrong.truth.rows[static_cast<std::size_t>(i)]);
  return rows;
}

/// All failing pairs are rows that see nothing, with lse = +inf or NaN.
std::string nothing_seen(const WrongResult& wrong, const FailingRows& failing) {
  if (wrong.lse.rows() == 0) return {};
  bool all_plus = true;
  for (const Index i : failing.rows) {
    for (const Index h : failing.heads) {
      if (wrong.truth.lse(i, h) != -kInf) return {};
      all_plus &= wrong.lse(i, h) == kInf;
    }
  }
  return all_plus ? "lse is +inf for rows that see nothing (must be -inf)"
                  : "rows that see nothing must give out = 0 and lse = -inf";
}

bool all_finite(const HeadsView<const double>& tensor) {
  for (Index head = 0; head < tensor.heads; ++head) {
    if (!head_matrix(tensor, head).allFinite()) return false;
  }
  return true;
}

/// Wrong NaN where the inputs hold NaN that the failing rows, whose truth is finite, do not see.
std::string hidden_nan(const WrongResult& wrong, const FailingRows& failing) {
  const auto& keys = wrong.setup.keys;
  const bool clean = std::all_of(keys.begin(), keys.end(), [](const KeyStretch& stretch) {
    return all_finite(stretch.key) && all_finite(stretch.value);
  });
  if (clean) return {};
  if (failing.lse_non_finite) {
    return "causal mask missing, or added to the scores (NaN - inf is NaN: select -inf instead): "
           "NaN of keys that the rows do not see reaches their lse";
  }
  std::string text =
      "NaN from what is not visible: weight 0 times NaN is NaN (mask the values, not only the "
      "scores)";
  if (wrong.lse.rows() == 0) text += "; or no mask at all, which lse would tell";
  return text;
}

/// All failing rows lie in the last tile of a frame, which is not full.
std::string last_partial_tile(const std::vector<Frame>& frames, const std::vector<Index>& rows) {
  for (const Frame& frame : frames) {
    if (rows.front() < frame.begin || rows.back() >= frame.end) continue;
    for (const Index tile : kTileHeights) {
      const Index full = (frame.end - frame.begin) / tile * tile;
      if (full > 0 && full < frame.end - frame.begin && rows.front() >= frame.begin + full) {
        return fmt::format("only {} beyond the last full tile of {} fail (from row {} on)",
                           frame.name, tile, frame.begin + full);
      }
    }
  }
  return {};
}

/// All failing rows have one residue modulo a tile, and all judged rows of that residue fail.
std::string one_residue(const WrongResult& wrong, const std::vector<Frame>& frames,
                        const std::vector<Index>& rows) {
  if (rows.size() < 2) return {};
  for (const Frame& frame : frames) {
    if (rows.front() < frame.begin || rows.back() >= frame.end) continue;
    for (const Index tile : kTileHeights) {
      const Index residue = (rows.front() - frame.begin) % tile;
      const auto same = [&](Index row) {
        return row >= frame.begin && row < frame.end && (row - frame.begin) % tile == residue;
      };
      const auto judged = std::count_if(wrong.truth.rows.begin(), wrong.truth.rows.end(), same);
      if (std::all_of(rows.begin(), rows.end(), same) && judged == std::ssize(rows)) {
        return fmt::format("tile border: exactly the {} with number = {} modulo {} fail",
                           frame.name, residue, tile);
      }
    }
  }
  return {};
}

}  // namespace

std::string find_pattern(const WrongResult& wrong, const FailingRows& failing) {
  if (failing.rows.empty()) return {};
  if (auto text = nothing_seen(wrong, failing); !text.empty()) return text;
  const std::vector<Index> rows = row_numbers(wrong, failing);
  const std::vector<Frame> frames = frames_of(wrong);
  std::string where = last_partial_tile(frames, rows);
  if (failing.out_non_finite || failing.lse_non_finite) {
    if (auto text = hidden_nan(wrong, failing); !text.empty()) return text;
    return "NaN or infinity from padding: stale values past a segment's end were read" +
           (where.empty() ? "" : "; " + where);
  }
  if (!where.empty()) return "tile border: " + where;
  return one_residue(wrong, frames, rows);
}

}  // namespace apb
