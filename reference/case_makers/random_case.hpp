#pragma once
/// \file
/// Cases made of seeded random numbers, ordinary or meant to hurt.

#include <string_view>

#include "reference/case_makers/assemble_case.hpp"
#include "reference/core/seeded_random.hpp"

namespace apb {

/// What kernels stumble over.
enum class Adversary {
  kNone,
  kHugeLogits,     ///< all logits equal and huge
  kTinyLogits,     ///< all logits thousands below zero
  kTies,           ///< many equal importances
  kSignedZeros,    ///< zeros of both signs in keys, values and importance
  kNanOutside,     ///< NaN in the last key and value of a block: only the last row sees it
  kOffTile,        ///< lengths beside every tile
  kEmptySegments,  ///< ranks without a block, ranks that pass nothing
  // Scores that a top-k may get wrong (hard_scores.hpp).
  kShared8Bits,       ///< many scores that share their upper 8 bits
  kShared16Bits,      ///< thousands of distinct scores that share their upper 16 bits
  kMoreTiesThanKept,  ///< more equal scores at the border than there is room for
  kReluZeros,         ///< most are zeros, of both signs, and some of these are kept
  kAllEqual,
  kNanWinners,  ///< NaN and zeros of both signs among what is kept
};

/// \throws BadInput on an unknown name, listing the known ones
[[nodiscard]] Adversary parse_adversary(std::string_view name);
/// Names of all, for a help text.
[[nodiscard]] std::string adversary_names();

/// Lengths and heads that an option may still change. Kinds with hard scores have thousands of
/// candidates, which are small, and no pooling.
[[nodiscard]] ApbConfig default_lengths(Adversary adversary);

/// Rows of bell-shaped numbers (mean 0, variance 1), rounded.
[[nodiscard]] RowTensors random_rows(const ApbConfig& config, ValueType type, Index rows,
                                     SeededRandom& random);

/// A case of all ranks. Anchors are the same rows on every rank, as in a real system.
/// \param config made by method_config
/// \param decode adds a query pass
[[nodiscard]] CaseFile random_case(Method method, const ApbConfig& config, ValueType type,
                                   Adversary adversary, bool decode);

}  // namespace apb
