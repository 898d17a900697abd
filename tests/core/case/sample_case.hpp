#pragma once
/// \file
/// A case file of any shape made of random numbers: right in form, no method's result.

#include "reference/core/case/candidate_file.hpp"
#include "reference/core/case/case_file.hpp"

namespace apb {

/// All ranks of a case. Inputs are multiples of 1/8, which every format holds; the kept positions
/// are the first or, for odd KV heads, the last candidates.
/// \param config compressor and lengths as given; heads 4 / 2, head_dim 3
[[nodiscard]] CaseFile sample_case(ApbConfig config, ValueType type);

/// Adds a query pass over every rank's cache, and truth to the ranks.
void add_optional_parts(CaseFile& case_file);

/// The candidate that says what the case itself says.
[[nodiscard]] CandidateFile right_candidate(const CaseFile& case_file);

/// Whether all that a case file holds is the same, bit for bit.
[[nodiscard]] bool same_case(const CaseFile& a, const CaseFile& b);

}  // namespace apb
