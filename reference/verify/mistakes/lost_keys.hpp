#pragma once
/// \file
/// The last keys of a segment, lost or read as 0, as at the end of a tile.

#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {

/// Block rows miss the last keys of the passing block.
[[nodiscard]] std::vector<Variant> passing_tail_missing(const Evidence& evidence);
/// The last values of the passing block are read as 0.
[[nodiscard]] std::vector<Variant> passing_values_zero(const Evidence& evidence);
/// Block rows miss the last keys of the anchor.
[[nodiscard]] std::vector<Variant> anchor_tail_missing(const Evidence& evidence);

}  // namespace apb
