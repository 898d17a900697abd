#pragma once
/// \file
/// Few combinations that hold every pair: of some factors with so many levels each, such that
/// every level of one meets every level of another at least once.

#include <cstddef>
#include <vector>

namespace apb {

/// One combination: the level of every factor.
using LevelRow = std::vector<std::size_t>;

/// \param level_counts levels of each factor, at least 1
/// \returns rows, always the same; with two factors or more about as many as the two largest
///          counts multiplied
[[nodiscard]] std::vector<LevelRow> pairwise_rows(const std::vector<std::size_t>& level_counts);

}  // namespace apb
