#pragma once
/// \file
/// Full attention's plan: rank 0 computes the whole document, the others wait.

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// As given, with neither anchor, embedded query nor passing block: what all exact methods run
/// with.
[[nodiscard]] ApbConfig exact_config(const ApbConfig& given);

/// The whole document on rank 0.
[[nodiscard]] ApbConfig full_config(const ApbConfig& given);

}  // namespace apb
