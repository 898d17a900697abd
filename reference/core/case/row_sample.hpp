#pragma once
/// \file
/// The rows of a rank that are judged when judging all of them would take too long.

#include <vector>

#include "reference/core/block_layout.hpp"

namespace apb {

/// A seeded sample of a rank's rows: what kernels get wrong at their seams, then chance.
///
/// Always in it: the first and last row of each segment (anchor, block) with their neighbours, and
/// two rows of each residue modulo 128, which is a multiple of the usual tile heights, so that a
/// fault in any one row of a tile is met. Rows drawn at random follow until there are `count`.
///
/// \param count rows wanted; the rows that are always in it come even if they are more, and there
///              are never more than the rank has
/// \returns row numbers (anchor rows first), ascending, each once
[[nodiscard]] std::vector<Index> sample_rows(const RankLayout& layout, Index count,
                                             std::uint64_t seed);

}  // namespace apb
