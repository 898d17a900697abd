#pragma once
/// \file
/// The mistakes that attention kernels are known to make, as other setups of the same inputs. One
/// row a mistake; the code of each stands in mistakes/, and docs/adding.md says how one is added.

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/verify/diagnosis.hpp"

namespace apb {

/// What a mistake may look at to find its own parameters.
struct Evidence {
  const WrongResult& wrong;
  AttentionRows truth;      ///< of some rows and heads, most of which fail
  HeadsTensor<double> out;  ///< the candidate's there; empty: not given
  Matrix<double> lse;       ///< the candidate's there; empty: not given
  Tolerances tolerances;    ///< there
};

/// One way to make a mistake.
struct Variant {
  std::string detail;  ///< in words; the mistake's name stands before it
  AttentionSetup setup;
};

struct Mistake {
  std::string_view name;
  std::vector<Variant> (*variants)(const Evidence&);  ///< none where it cannot be made
};

/// All of them.
[[nodiscard]] std::span<const Mistake> known_mistakes();

}  // namespace apb
