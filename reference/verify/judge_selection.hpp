#pragma once
/// \file
/// Judges importance (by an error budget, or exactly) and selection (always exactly).

#include "reference/core/case/candidate_file.hpp"
#include "reference/verify/judge.hpp"

namespace apb {

/// Importance [block_rows, num_kv_heads] of a rank.
///
/// `random` and `recent` involve no arithmetic: the candidate must equal the truth exactly, rounded
/// to the case's value type, its own compute or output type, float32 or not at all.
///
/// `query_aware` (q·k averaged over n query rows and heads of a group): with
/// A = max over the pooling window of sum_d mean|q_d| |k_d|, an element may be off by
///     (u + (head_dim + n + 4) 2^-24) A
/// where u is the compute type's (budget.hpp): half of it for the mean query, half for the result;
/// the rest bounds fp32 sums of head_dim + n terms in any order, with 4 roundings to spare. -inf
/// (no candidate) must be -inf, NaN must be NaN.
///
/// `retaining_head` (silu(x fc1^T) fc2^T): with A = max over the pooling window of
/// 1.1 (|x| |fc1|^T) |fc2|^T, as silu is nowhere steeper than 1.1, an element may be off by
///     (2 u + (inputs + rows of fc1 + 8) 2^-24) A
/// since both products round. A linear head: A from |x| |fc1|^T alone.
void judge_importance(const CaseFile& case_file, const CaseRank& rank,
                      const CandidateFile& candidate, const CandidateRank& given,
                      Judgement& judgement);

/// Kept positions: per KV head they must be the exact selection, ascending, on the candidate's own
/// importance if it gives one, else on the case's. The error is the number of positions that are
/// missing, too many, twice, no candidates, not of the document or lower than the one before; the
/// budget is 0.
void judge_selection(const CaseFile& case_file, const CaseRank& rank, const CandidateRank& given,
                     Judgement& judgement);

/// The exact selection on some importance, [block_rows, num_kv_heads]: per KV head, ascending.
[[nodiscard]] HeadPositions exact_selection(const CaseRank& rank, const Matrix<double>& importance);

}  // namespace apb
