#pragma once
/// \file
/// Where NaN and infinity come from: each cause has rows of its own.

#include "reference/verify/evidence.hpp"

namespace apb {

/// In words, the causes that make NaN or infinity in exactly the rows and heads where the candidate
/// has them: NaN of keys that are not seen, q·k beyond float16, a softmax without its maximum, a
/// sum of weights that came out as 0, rows never written, padding. Empty: none of them.
[[nodiscard]] std::vector<std::string> find_non_finite_patterns(const Evidence& evidence,
                                                                const FailingRows& failing);

}  // namespace apb
