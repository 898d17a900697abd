#pragma once
/// \file
/// What the files of mistakes share: tile heights, cutting stretches of keys, attention row by row
/// and head by head.

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

/// All keys of a setup, one stretch after another, and a range of them.
[[nodiscard]] Index count_keys(const AttentionSetup& setup);

/// The setup in which no row sees keys [begin, end), counted over all stretches.
[[nodiscard]] AttentionSetup without_keys(AttentionSetup setup, Index begin, Index end);

/// Keys of a stretch that a row sees.
[[nodiscard]] Index seen_keys(const KeyStretch& stretch, Index row);

/// Attention of which every row, or every head, has a setup of its own.
[[nodiscard]] Attention row_by_row(std::function<AttentionSetup(Index row)> setup_of);
[[nodiscard]] Attention head_by_head(std::function<AttentionSetup(Index head)> setup_of);

/// One head of a tensor, as a tensor of one head.
[[nodiscard]] HeadsView<const double> one_head(const HeadsView<const double>& view, Index head);

/// exp(scaled score - lse) of the first `seen` keys of a stretch, for one row and head: the keys'
/// weights if lse is the row's.
[[nodiscard]] Eigen::VectorXd key_weights(const AttentionSetup& setup, const KeyStretch& stretch,
                                          Index row, Index head, Index seen, double lse);

}  // namespace apb
