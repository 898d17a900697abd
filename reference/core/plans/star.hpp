#pragma once
/// \file
/// Star Attention's plan: an anchor before every block but the first, nothing exchanged.

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// As given, with nothing kept or passed.
[[nodiscard]] ApbConfig star_config(const ApbConfig& given);

}  // namespace apb
