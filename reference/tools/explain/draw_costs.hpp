#pragma once
/// \file
/// Section 5 of `./apb explain`: the work of the drawn method beside Full and Star attention.

#include <string>

#include "reference/cli/text_table.hpp"
#include "reference/tools/explain/example.hpp"

namespace apb {

/// A table of rows, attention FLOPs and bytes received on each rank.
/// \param element_bytes size of an element that is sent
/// \throws BadInput as layer_work
[[nodiscard]] std::string draw_costs(const Example& example, Index element_bytes, const Ink& ink);

}  // namespace apb
