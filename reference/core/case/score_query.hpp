#pragma once
/// \file
/// What `query_aware` scored a rank's block with, as far as a case file holds it.

#include <optional>

#include "reference/core/case/case_file.hpp"

namespace apb {

/// Query rows that a rank scores with: stored, or its own anchor's, or (rank 0) rank 1's.
/// \returns [query rows, num_q_heads, head_dim]; none if the case does not hold them
[[nodiscard]] std::optional<HeadsTensor<double>> score_query(const CaseFile& case_file,
                                                             const CaseRank& rank);

}  // namespace apb
