#pragma once
/// \file
/// Names and classes of what bars and timelines are divided into: the parts of a layer, then what
/// is none of them. The style sheet gives each a colour, and a pattern where it is no computation.

#include <array>
#include <string>
#include <string_view>

#include "sim/work/layer_plan.hpp"

namespace apb::sim::report {

inline constexpr std::size_t kHostPiece = kNumParts;
inline constexpr std::size_t kWaitingPiece = kNumParts + 1;
inline constexpr std::size_t kRestPiece = kNumParts + 2;
inline constexpr std::size_t kNumPieces = kNumParts + 3;

/// kPartNames, and the three others.
[[nodiscard]] constexpr std::string_view piece_name(std::size_t piece) {
  if (piece < kNumParts) return kPartNames.at(piece);
  if (piece == kHostPiece) return "launches, host";
  return piece == kWaitingPiece ? "waiting for ranks" : "rest";
}

[[nodiscard]] inline std::string piece_style(std::size_t piece) {
  return "p" + std::to_string(piece);
}

}  // namespace apb::sim::report
