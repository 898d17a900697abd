#pragma once
/// \file
/// Masks that show too many keys or too few.

#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {

/// All of the passing block, or its last keys beyond whole tiles.
[[nodiscard]] std::vector<Variant> anchor_sees_passing(const Evidence& evidence);
/// Row i of the rank sees keys 0…i of its concatenated keys.
[[nodiscard]] std::vector<Variant> causal_top_left(const Evidence& evidence);
/// One key too many, or one too few.
[[nodiscard]] std::vector<Variant> causal_off_by_one(const Evidence& evidence);
/// No causal mask, inside anchor and block or anywhere.
[[nodiscard]] std::vector<Variant> causal_missing(const Evidence& evidence);
/// A tile of query rows that holds the last anchor and the first block rows is treated as all one
/// or all the other.
[[nodiscard]] std::vector<Variant> border_tile(const Evidence& evidence);

}  // namespace apb
