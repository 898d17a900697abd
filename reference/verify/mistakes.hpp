#pragma once
/// \file
/// The mistakes that attention kernels are known to make, as other readings of the same inputs.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/verify/diagnosis.hpp"

namespace apb {

/// What a mistake may look at to find its own parameters.
struct Evidence {
  const Suspect& suspect;
  AttentionRows truth;      ///< of some rows and heads, most of which fail
  HeadsTensor<double> out;  ///< the candidate's there; empty: not given
  Matrix<double> lse;       ///< the candidate's there; empty: not given
};

/// One way to make a mistake.
struct Variant {
  std::string text;  ///< in words; begins with the mistake's name
  Reading reading;
};

struct Mistake {
  std::string_view name;
  std::vector<Variant> (*variants)(const Evidence&);  ///< none where it cannot be made
};

/// All of them.
[[nodiscard]] std::span<const Mistake> known_mistakes();

/// Number k >= 1 of last keys of a stretch without which (or whose values read as 0: `values_only`)
/// the attention comes nearest to the candidate's, and is nearer than with them; else 0.
[[nodiscard]] Index best_missing_tail(const Evidence& evidence, std::size_t stretch,
                                      bool values_only);

}  // namespace apb
