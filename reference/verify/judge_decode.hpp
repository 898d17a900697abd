#pragma once
/// \file
/// Judges a query pass: every rank's partial out and lse, and the merged ones.

#include "reference/core/case/candidate_file.hpp"
#include "reference/verify/judge.hpp"

namespace apb {

/// Partials are judged against attention over the rank's own cache, the merged result against
/// attention over all caches at once; both by the same budget as prefill.
void judge_decode(const CaseFile& case_file, const CandidateFile& candidate,
                  const JudgeOptions& options, Judgement& judgement);

}  // namespace apb
