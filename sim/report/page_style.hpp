#pragma once
/// \file
/// The page's style sheet, and the patterns that its classes fill shapes with.

#include <string_view>

namespace apb::sim::report {

/// CSS. Figures scroll inside their own frames where the page is narrower than they can be read.
[[nodiscard]] std::string_view page_style();

/// An invisible SVG with the patterns. It is part of the page, not of a figure: all share it.
[[nodiscard]] std::string_view page_patterns();

}  // namespace apb::sim::report
