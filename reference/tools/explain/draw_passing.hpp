#pragma once
/// \file
/// Section 3 of `./apb explain`: what each rank keeps of its block, and what it receives.

#include <string>

#include "reference/cli/text_table.hpp"
#include "reference/tools/explain/example.hpp"

namespace apb {

/// Scores, kept tokens and passing blocks of KV head 0.
[[nodiscard]] std::string draw_passing(const Example& example, const Ink& ink);

}  // namespace apb
