#pragma once
/// \file
/// The mistakes of taking the ranks' kept entries in the wrong order from what was gathered.

#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {

/// Order alone changes nothing in attention. It shows where keys and values are ordered differently
/// or where the wrong ranks' entries are taken: the latter is tried if the case holds those ranks.
[[nodiscard]] std::vector<Variant> wrong_passing_order(const Evidence& evidence);

}  // namespace apb
