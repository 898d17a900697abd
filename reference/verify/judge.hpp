#pragma once
/// \file
/// Judges a candidate file against its case: one verdict per rank and quantity, a diagnosis for
/// what fails.

#include <array>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/case/candidate_file.hpp"
#include "reference/core/matrix.hpp"
#include "reference/verify/budget.hpp"
#include "reference/verify/diagnosis.hpp"
#include "reference/verify/field_checks.hpp"

namespace apb {

/// The rank of verdicts on merged attention.
inline constexpr int kMergedRank = -1;

/// One line of the table.
struct Verdict {
  int rank = 0;
  std::string quantity;  ///< e.g. "out worst row", "lse", "kept_positions"
  double error = 0;
  double budget = 0;
  WorstPlace worst;
  bool pass = false;
  std::string note;  ///< what the numbers alone do not say
};

/// A quantity that the candidate does not hold, or that the case gives no means to judge.
struct NotJudged {
  int rank = 0;
  std::string quantity;  ///< one of kQuantities
  std::string why;       ///< "not given", or what is missing
};

struct RankDiagnosis {
  int rank = 0;
  Diagnosis diagnosis;
};

/// What others would have said of a rank's out.
struct RankFieldChecks {
  int rank = 0;
  std::string quantity;  ///< "out", "decode merged out", …
  FieldChecks checks;
};

/// How much of a case was judged.
struct Coverage {
  std::vector<int> ranks;       ///< with a verdict on their prefill
  Index ranks_of_case = 0;      ///< in the case file
  Index rows = 0;               ///< of out or lse
  Index rows_of_ranks = 0;      ///< that the ranks have of which out or lse was judged
  bool decode = false;          ///< the query pass, or a part of it
  bool decode_of_case = false;  ///< whether the case holds one
};

struct Judgement {
  std::vector<Verdict> verdicts;
  std::vector<NotJudged> not_judged;
  std::vector<RankDiagnosis> diagnoses;
  std::vector<RankFieldChecks> field_checks;  ///< of every out that was judged
  Coverage coverage;                          ///< of a candidate file
  std::string declared;  ///< what the candidate declares beyond its types, in words; mostly empty
  std::string mismatch;  ///< of the candidate's precision and the case's, in words; mostly empty

  [[nodiscard]] bool pass() const;
  /// Whether some out was judged without the lse of the same rows.
  [[nodiscard]] bool without_lse() const;
};

/// What a candidate may hold and --require may name.
inline constexpr std::array<std::string_view, 5> kQuantities{"out", "lse", "importance",
                                                             "kept_positions", "decode"};

struct JudgeOptions {
  /// Rows of out and lse to judge on a rank, ascending; all if it is empty.
  std::function<std::vector<Index>(const CaseRank&)> rows_of;
  /// Told what comes next, in words.
  std::function<void(const std::string&)> progress;
};

/// \throws BadInput if there is nothing to judge, or rows were asked for that no rank holds
[[nodiscard]] Judgement judge(const CaseFile& case_file, const CandidateFile& candidate,
                              const JudgeOptions& options);

/// Adds a failed verdict for every required quantity that could not be judged on some rank, or not
/// on all rows asked for.
/// \throws BadInput on a name that is not in kQuantities
void require_quantities(Judgement& judgement, const std::vector<std::string>& required);

/// Verdicts on out and lse of some rows, and a diagnosis if one fails.
/// \param case_file,rank for the diagnosis: whose prefill it is; rank is null for a query pass, and
///                      both are for attention of no case
struct AttentionSubject {
  const AttentionSetup& setup;
  const CaseFile* case_file = nullptr;
  const CaseRank* rank = nullptr;
  Precision precision;
  ValueType compute_type = ValueType::kFloat64;  ///< that a kernel may have rounded its inputs to
};

/// Fails if a number of out is none of the 16-bit type that it is said to be rounded to.
/// \param quantity "out" or what stands for it
void judge_out_type(int rank, const std::string& quantity, ValueType type,
                    const HeadsTensor<double>& out, Judgement& judgement);

/// \param rows the rows that out and lse hold; either of which may be empty: not judged
void judge_attention(const AttentionSubject& subject, int rank, const std::string& prefix,
                     std::span<const Index> rows, const HeadsTensor<double>& out,
                     const Matrix<double>& lse, Judgement& judgement);

}  // namespace apb
