#pragma once
/// \file
/// APB's plan: what is given, as it is given.

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// As given; APE's temperature and scale are switched off.
[[nodiscard]] ApbConfig apb_config(const ApbConfig& given);

}  // namespace apb
