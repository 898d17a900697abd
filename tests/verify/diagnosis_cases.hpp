#pragma once
/// \file
/// What tests of the diagnosis share: head shapes, and what is said of a wrong candidate.

#include <string>
#include <vector>

#include "tests/verify/verify_case.hpp"

namespace apb {

struct NamedShape {
  std::string name;
  CaseShape shape;
};

/// Lengths off every tile; the last rank has an anchor and passing entries of two ranks.
[[nodiscard]] const std::vector<NamedShape>& shapes();

/// The explanations of the last rank's failure, the best first. A candidate that passes is a failed
/// check.
[[nodiscard]] std::string diagnosis_text(const CaseFile& case_file, const CandidateFile& candidate);

/// The first explanation, or all of the text if there is none.
[[nodiscard]] std::string first_explanation(const CaseFile& case_file,
                                            const CandidateFile& candidate);

}  // namespace apb
