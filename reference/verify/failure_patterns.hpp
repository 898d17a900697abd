#pragma once
/// \file
/// Mistakes that show by where and how results fail, not by what they should have been.

#include "reference/verify/failing_rows.hpp"

namespace apb {

/// In words what the failing rows have in common: +inf for rows that see nothing, NaN of keys that
/// they do not see, NaN from padding, a tile border. Empty: nothing.
[[nodiscard]] std::string find_pattern(const WrongResult& wrong, const FailingRows& failing);

}  // namespace apb
