#pragma once
/// \file
/// Partial attention merged wrongly: of the ranks, in a query pass, or of anchor, passing block and
/// block.

#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {

/// exp(lse) without subtracting the largest lse, in float32: it overflows or vanishes.
[[nodiscard]] std::vector<Variant> merge_without_shift(const Evidence& evidence);
/// The mean of the partials.
[[nodiscard]] std::vector<Variant> merge_without_weights(const Evidence& evidence);
/// Partial lse, or lse and out, or every intermediate result rounded to bfloat16 or float16.
[[nodiscard]] std::vector<Variant> merge_in_low_precision(const Evidence& evidence);
/// One rank's partial left out.
[[nodiscard]] std::vector<Variant> rank_missing_in_merge(const Evidence& evidence);
/// A partial that saw no key counts as if its lse were 0 and not -inf.
[[nodiscard]] std::vector<Variant> empty_part_weighs(const Evidence& evidence);

}  // namespace apb
