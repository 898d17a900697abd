#pragma once
/// \file
/// Keys lost from the middle, as a loop over tiles or ranks loses them, or lost by a window.

#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {

/// All entries of the passing block that one lower rank gave.
[[nodiscard]] std::vector<Variant> rank_slice_missing(const Evidence& evidence);
/// One tile of 64 or 128 keys, counted from the first key or from that of a segment.
[[nodiscard]] std::vector<Variant> tile_missing(const Evidence& evidence);
/// Rows see only so many last keys, of all that they see or of their own block.
[[nodiscard]] std::vector<Variant> sliding_window(const Evidence& evidence);

}  // namespace apb
