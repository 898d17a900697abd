#pragma once
/// \file
/// The wrong kernels of the mutation tests: every known mistake of a prefill, made by a kernel that
/// shares no code with the judge, and for every mistake a neighbour that must not go by its name.

#include <functional>
#include <string>
#include <vector>

#include "tests/verify/verify_case.hpp"

namespace apb {

/// Makes a right kernel wrong, or its inputs. \param inputs of the case's last rank
using MakeWrong = std::function<void(CaseRank& inputs, Kernel& kernel)>;

struct Mutation {
  std::string wanted;  ///< how the explanation begins
  MakeWrong make;
  /// Whether it is one: some head maps are right by chance, and Star passes nothing.
  std::function<bool(const CaseShape&)> is_wrong = [](const CaseShape&) { return true; };
};

/// All of them; of some mistakes several.
[[nodiscard]] const std::vector<Mutation>& mutations();

/// Kernels that are wrong otherwise; `wanted` is how no explanation may begin.
[[nodiscard]] const std::vector<Mutation>& neighbours();

/// What the last rank gives with a mistake.
[[nodiscard]] CandidateRank run_wrong(const MakeWrong& make, const CaseFile& case_file,
                                      ValueType type);

// Those that other tests use too.
[[nodiscard]] MakeWrong off_by(Index step);
[[nodiscard]] MakeWrong missing_tail(Index count);
[[nodiscard]] MakeWrong zero_tail(Index count);
[[nodiscard]] bool passes(const CaseShape& shape);

}  // namespace apb
