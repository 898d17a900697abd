#pragma once
/// \file
/// APE's plan: contexts behind copies of one prefix, all at the same positions.

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// The prefix is the first anchor_len tokens, without a query; nothing is passed.
[[nodiscard]] ApbConfig ape_config(const ApbConfig& given);

/// As make_block_layout, but every context starts at the position behind the prefix, and the query
/// behind the longest context.
[[nodiscard]] BlockLayout ape_layout(const ApbConfig& config);

}  // namespace apb
