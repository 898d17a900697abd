#pragma once
/// \file
/// The mask of one rank as an SVG picture that needs nothing around it.

#include <string>

#include "reference/tools/explain/example.hpp"

namespace apb {

/// The picture's text: a square per (row, key) pair, or, where those are too many, a shape per pair
/// of segments. Light background, colours that stay apart for the colour-blind.
[[nodiscard]] std::string mask_svg(const Example& example);

}  // namespace apb
