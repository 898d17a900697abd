#pragma once
/// \file
/// The first sections of `./apb explain`: who owns and who computes what. Lines are at most
/// kTextWidth columns wide.

#include <functional>
#include <string>

#include "reference/cli/text_table.hpp"
#include "reference/tools/explain/example.hpp"

namespace apb {

/// A numbered heading and a sentence under it.
[[nodiscard]] std::string section_heading(const Ink& ink, int number, std::string_view title,
                                          std::string_view sentence);

/// Lines of every shown rank, with "…" where ranks are left out.
[[nodiscard]] std::string for_shown_ranks(const Example& example,
                                          const std::function<std::string(int rank)>& lines);

/// What is drawn, and what the method is about.
[[nodiscard]] std::string draw_title(const Example& example, const Ink& ink);

/// Section 1: the document as one row of cells cut over the ranks, the anchor's tokens marked.
[[nodiscard]] std::string draw_ownership(const Example& example, const Ink& ink);

/// Section 2: each rank's rows [anchor | block], with document indices and positions.
[[nodiscard]] std::string draw_rows(const Example& example, const Ink& ink);

/// What comes after prefill, and what to try next.
[[nodiscard]] std::string draw_outlook(const Ink& ink);

}  // namespace apb
