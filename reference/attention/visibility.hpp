#pragma once
/// \file
/// The mask of APB in one function. `attend` reaches the same pairs by segments; tests and pictures
/// use this one.

#include "reference/core/block_layout.hpp"

namespace apb {

/// Whether a query row of a rank sees a key of that rank. Rows count inside their own segment.
/// Anchor rows see the anchor up to themselves and nothing else; block rows see all of the anchor,
/// all of the passing block and the block up to themselves. Positions never matter.
[[nodiscard]] constexpr bool is_visible(Segment query_segment, Index query_row, Segment key_segment,
                                        Index key_row) {
  if (query_segment == key_segment) return key_row <= query_row;
  return query_segment == Segment::kBlock;
}

}  // namespace apb
