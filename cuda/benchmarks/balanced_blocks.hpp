#pragma once
/// \file
/// Block lengths that give APB's ranks equal work.

#include <vector>

#include "reference/core/config.hpp"

namespace apb::cuda {

/// What one rank's layer took, and of what that was made.
struct RankCost {
  double rows_s = 0;       ///< all that grows with the rank's rows
  double attention_s = 0;  ///< all that grows with visible pairs
};

/// Block lengths, as many as ranks, by which all ranks would take the same time: each rank's time
/// is taken to grow with its rows, and its attention with its visible pairs, at the rates measured
/// with the blocks of `config`. Anchor and kept entries stay as they are.
/// \param config   of equal or given blocks, made by method_config for APB
/// \param measured of every rank
[[nodiscard]] std::vector<Index> balanced_block_lens(const ApbConfig& config,
                                                     const std::vector<RankCost>& measured);

}  // namespace apb::cuda
