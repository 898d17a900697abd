#pragma once
/// \file
/// Query passes merged rightly and wrongly, from partials computed by plain loops, apart from all
/// library code.

#include <functional>
#include <string>
#include <vector>

#include "tests/verify/verify_case.hpp"

namespace apb {

/// One rank's attention of one row and head.
struct Part {
  std::vector<double> out;
  double lse = 0;  ///< -inf if it holds no key
  Index keys = 0;
};

/// Merges parts into one, whose `keys` do not matter.
using MergeParts = std::function<Part(const std::vector<Part>&)>;

struct MergeMutation {
  std::string wanted;  ///< how the explanation begins; of a neighbour, how none may begin
  MergeParts merge;
};

/// Of the ranks' attention to the case's query. The middle one of the three holds no key.
[[nodiscard]] const std::vector<MergeMutation>& wrong_merges();
/// Merges that are wrong otherwise.
[[nodiscard]] const std::vector<MergeMutation>& merge_neighbours();

[[nodiscard]] Part merge_rightly(const std::vector<Part>& parts);

/// A case of three ranks, the second without tokens, and a query of three rows.
[[nodiscard]] CaseFile case_to_merge(std::uint64_t seed, ValueType type);

/// The candidate that merges so.
[[nodiscard]] CandidateFile merged_by(const MergeParts& merge, const CaseFile& case_file,
                                      ValueType type);

}  // namespace apb
