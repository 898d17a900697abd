#pragma once
/// \file
/// Section 4 of `./apb explain`: the mask of one rank in characters.

#include <string>

#include "reference/cli/text_table.hpp"
#include "reference/tools/explain/example.hpp"

namespace apb {

/// One line per row and one column per key, or, where they do not fit, one cell for many of them.
[[nodiscard]] std::string draw_mask(const Example& example, const Ink& ink);

}  // namespace apb
