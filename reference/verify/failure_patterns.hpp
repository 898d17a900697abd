#pragma once
/// \file
/// Mistakes that show by where and how results fail, not by what they should have been.

#include <optional>
#include <string>
#include <vector>

#include "reference/verify/evidence.hpp"

namespace apb {

/// In words what all that fails has in common: rows that see nothing, one bad element, NaN or
/// infinity of some kind, rows never written, a tile border. Several that cannot be told apart come
/// together. Empty: nothing.
[[nodiscard]] std::vector<std::string> find_patterns(const Evidence& evidence,
                                                     const FailingRows& failing);

/// A run of rows that tiles may be counted from.
struct Frame {
  std::string_view name;
  Index begin = 0;
  Index end = 0;
};

/// All rows; of a prefill with an anchor also anchor rows and block rows.
[[nodiscard]] std::vector<Frame> frames_of(const WrongResult& wrong);

inline constexpr std::array<Index, 4> kTileHeights{16, 32, 64, 128};

/// "only block rows beyond the last full tile of 64 fail (from row 320 on)", if all of `rows` are.
/// \param rows row numbers, ascending, at least one
[[nodiscard]] std::string last_partial_tile(const std::vector<Frame>& frames,
                                            const std::vector<Index>& rows);

/// Row numbers of places.
[[nodiscard]] std::vector<Index> row_numbers(const WrongResult& wrong,
                                             const std::vector<Index>& places);

/// What every element of out holds in all pairs that fail, or lse in all that fail; NaN counts as
/// one value. None: more than one value, or fewer than two elements.
[[nodiscard]] std::optional<double> only_value_of_out(const WrongResult& wrong,
                                                      const FailingPart& part);
[[nodiscard]] std::optional<double> only_value_of_lse(const WrongResult& wrong,
                                                      const FailingPart& part);

/// "rows never written: every element of out is 0, and lse is 0", if so.
[[nodiscard]] std::string never_written(const WrongResult& wrong, const FailingRows& failing);

}  // namespace apb
