#pragma once
/// \file
/// Scores that make a wrong top-k show.

#include "reference/case_makers/random_case.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// Whether a kind is about what is kept: its blocks have hard_scores.
[[nodiscard]] bool has_hard_scores(Adversary adversary);

/// Scores of one block, [rows, heads], every one representable in the type.
/// \param num_kept entries that the block's rank keeps
/// \throws BadInput if 16 bits are to be shared by a type that has no more
[[nodiscard]] Matrix<double> hard_scores(Adversary adversary, ValueType type, Index rows,
                                         Index heads, Index num_kept, SeededRandom& random);

/// Writes the scores into the first channel of the keys: queries that are 1 there and 0 elsewhere
/// (score_by_first_channel) give exactly these.
/// \param key [rows, heads, head_dim]
void write_scores(const Matrix<double>& scores, HeadsTensor<double>& key);
void score_by_first_channel(HeadsTensor<double>& query);

}  // namespace apb
