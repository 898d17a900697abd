#pragma once
/// \file
/// The one integer type of rows, tokens, positions and element counts.

#include <cstdint>

namespace apb {

/// Rows, tokens, positions, element counts: always signed and 64 bits wide.
using Index = std::int64_t;

}  // namespace apb
