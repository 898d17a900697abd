#pragma once
/// \file
/// Section 6 of `./apb explain`: all methods on the drawn configuration, by their closed forms.

#include <string>

#include "reference/cli/text_table.hpp"
#include "reference/tools/explain/example.hpp"

namespace apb {

/// A line a method: rows, attention FLOPs and bytes received of its busiest rank, what it sends and
/// loses. A dash where the method cannot take the configuration.
/// \param element_bytes size of an element that is sent
[[nodiscard]] std::string draw_methods(const Example& example, Index element_bytes, const Ink& ink);

}  // namespace apb
