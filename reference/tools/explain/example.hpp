#pragma once
/// \file
/// What `./apb explain` draws: a configuration, its layout and a seeded selection.

#include <optional>
#include <string>
#include <vector>

#include "reference/attention/selection.hpp"
#include "reference/core/matrix.hpp"
#include "reference/methods/method.hpp"

namespace apb {

/// KV head 0 of one rank's block: what the rank keeps of it.
struct BlockSelection {
  Matrix<double> scores;  ///< [block_rows, 1], before pooling
  Selection<double> selection;
};

/// A configuration with all that is drawn of it. No model is run: scores are seeded.
struct Example {
  Method method = Method::kApb;
  ApbConfig given;   ///< as the user gave it; other methods are compared under it
  ApbConfig config;  ///< as the method runs it
  BlockLayout layout;
  int rank = 0;                      ///< whose mask is drawn
  std::vector<BlockSelection> kept;  ///< per rank; empty if the method passes nothing

  [[nodiscard]] const RankLayout& of(int any_rank) const {
    return layout.ranks[static_cast<std::size_t>(any_rank)];
  }
  /// Document tokens in each anchor; 0 if there is no second rank to hold one.
  [[nodiscard]] Index anchor_tokens() const;
  /// Ranks that there is room for: all up to eight, else the first, the last and the drawn one.
  [[nodiscard]] std::vector<int> shown_ranks() const;
  /// Document tokens in the passing block of a rank, [passing_rows].
  [[nodiscard]] std::vector<Index> passing_doc_pos(int of_rank) const;

  /// Name of a row: q0 is query row 0, a3 the anchor's copy of document token 3, 12 a block token.
  [[nodiscard]] std::string row_label(int of_rank, Index row) const;
};

/// Lays out and selects.
/// \param rank whose mask is drawn; by default the last that owns tokens
/// \throws BadInput if the configuration or the rank is impossible
[[nodiscard]] Example make_example(Method method, const ApbConfig& config, std::optional<int> rank);

}  // namespace apb
