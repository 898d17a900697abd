#pragma once
/// \file
/// One rank of a configuration that the paper ran, without computing the whole system.

#include <string>
#include <string_view>

#include "reference/core/case/case_file.hpp"

namespace apb {

/// A configuration of the paper.
struct CasePreset {
  std::string_view name;
  ApbConfig config;         ///< H = 8 ranks, compressor query_aware, a query of 32 tokens
  std::string_view source;  ///< where the numbers are from
};

/// \throws BadInput on an unknown name, listing the known ones
[[nodiscard]] CasePreset find_preset(std::string_view name);

/// One rank, complete in itself: random projections, a random passing block of the right shape
/// whose positions the lower ranks could have kept; importance and kept positions are computed.
/// \param config of a preset, perhaps changed
[[nodiscard]] CaseFile preset_case(const ApbConfig& config, ValueType type, int rank);

}  // namespace apb
