#pragma once
/// \file
/// What the files of mistakes share: tile heights, and cutting a stretch of keys in two.

#include <array>

#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {

/// Heights of tiles that kernels use.
inline constexpr std::array<Index, 4> kTiles{16, 32, 64, 128};

/// Whether it is a prefill, with the three stretches.
[[nodiscard]] inline bool is_prefill(const Evidence& evidence) {
  return evidence.wrong.rank != nullptr;
}

/// Rows of the passing block; 0 if there is none.
[[nodiscard]] inline Index passing_rows(const Evidence& evidence) {
  return is_prefill(evidence) ? evidence.wrong.rank->layout.passing_rows : 0;
}

/// Cuts a stretch in two at key `at`; both parts are seen as the whole was.
void split_stretch(AttentionSetup& setup, std::size_t stretch, Index at);

}  // namespace apb
