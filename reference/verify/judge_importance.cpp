#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "reference/attention/block_scores.hpp"
#include "reference/attention/retaining_head.hpp"
#include "reference/attention/selection.hpp"
#include "reference/core/case/score_query.hpp"
#include "reference/core/matrix_product.hpp"
#include "reference/verify/judge_selection.hpp"
#include "reference/verify/mistakes/wrong_importance.hpp"

namespace apb {
namespace {

/// Importance in double and how far each element may be from it.
struct ImportanceTruth {
  Matrix<double> value;
  Matrix<double> tolerance;
  Matrix<double> scores;  ///< value before pooling
  Index query_rows = 0;   ///< averaged over; 0 if none are
};

HeadsTensor<double> absolute(HeadsTensor<double> tensor) {
  for (double& value : tensor.values()) value = std::abs(value);
  return tensor;
}

ImportanceTruth query_aware_truth(const CaseFile& case_file, const CaseRank& rank,
                                  const HeadsTensor<double>& query, ValueType compute_type) {
  Counters counters;
  HeadsTensor<double> key(0, rank.key.heads(), rank.key.head_dim());
  key.append(rank.key.view().slice(rank.layout.anchor_rows, rank.layout.block_len));
  const auto scores = query_aware_scores<double>(query.view(), std::as_const(key).view(), counters);
  const HeadsTensor<double> abs_query = absolute(query);
  const HeadsTensor<double> abs_key = absolute(key);
  const auto sizes = query_aware_scores<double>(abs_query.view(), abs_key.view(), counters);
  const auto terms =
      static_cast<double>(query.head_dim() + query.rows() * case_file.config.group_size() + 4);
  const double relative = unit_roundoff(compute_type) + terms * 0x1.0p-24;
  const Index pool = case_file.config.pool_kernel;
  return {select_block(scores, rank.layout, pool, counters).importance,
          relative * max_pool(sizes, pool), scores, query.rows()};
}

/// |a| |b|^T.
Matrix<double> absolute_product(const Matrix<double>& a, const Matrix<double>& b) {
  Matrix<double> product(a.rows(), b.rows());
  multiply_transposed<double>(a.cwiseAbs(), b.cwiseAbs(), product);
  return product;
}

/// Two products with a rounding of the compute type after each; silu is at most 1.1 times as steep
/// as its argument. An empty fc2 is a linear head.
ImportanceTruth retaining_truth(const CaseFile& case_file, const CaseRank& rank,
                                const RetainingCase& retaining, ValueType compute_type) {
  Counters counters;
  const auto scores =
      retaining_scores<double>({retaining.fc1, retaining.fc2}, retaining.input, counters);
  Matrix<double> sizes = absolute_product(retaining.input, retaining.fc1);
  if (retaining.fc2.size() > 0) sizes = 1.1 * absolute_product(sizes, retaining.fc2);
  const auto terms = static_cast<double>(retaining.fc1.cols() + retaining.fc1.rows() + 8);
  const double relative = 2 * unit_roundoff(compute_type) + terms * 0x1.0p-24;
  const Index pool = case_file.config.pool_kernel;
  return {select_block(scores, rank.layout, pool, counters).importance,
          relative * max_pool(sizes, pool), scores, 0};
}

/// How far a candidate's element may be from the truth if it was computed within the tolerance and
/// then, if it is a number of the format `stored`, perhaps rounded to that: rounding keeps order,
/// so that it lies between the rounded ends.
double stored_tolerance(double candidate, double truth, double tolerance, ValueType stored) {
  if (round_to(stored, candidate) != candidate) return tolerance;
  return candidate < truth ? std::max(tolerance, truth - round_to(stored, truth - tolerance))
                           : std::max(tolerance, round_to(stored, truth + tolerance) - truth);
}

/// An element's error and how large it may be.
struct ElementError {
  double error = 0;
  double tolerance = 0;

  /// What must be equal (no error allowed, -inf, NaN) is, or is infinitely far.
  [[nodiscard]] double ratio() const { return error == 0 ? 0 : error / tolerance; }
};

/// \param stored the case's precision, which importance may be rounded to
ElementError element_error_of(double found, double expected, double tolerance, ValueType stored) {
  // Equal too: what overflows in the format that it is stored in.
  const double error = found == round_to(stored, expected) ? 0 : element_error(found, expected);
  return {error, stored_tolerance(found, expected, tolerance, stored)};
}

/// The worst element, in units of its own tolerance.
Verdict compare_importance(const CaseRank& rank, const Matrix<double>& candidate,
                           const ImportanceTruth& truth, ValueType stored) {
  Verdict verdict{rank.rank, "importance", 0, 0, {}, true, {}};
  double worst = -1;
  for (Index row = 0; row < candidate.rows(); ++row) {
    for (Index head = 0; head < candidate.cols(); ++head) {
      const double expected = truth.value(row, head);
      const double found = candidate(row, head);
      const ElementError element =
          element_error_of(found, expected, truth.tolerance(row, head), stored);
      const double ratio = element.ratio();
      if (std::isnan(worst) || !(ratio > worst || std::isnan(ratio))) continue;
      worst = ratio;
      verdict.error = element.error;
      verdict.budget = element.tolerance;
      verdict.worst = {rank.layout.anchor_rows + row, head, -1, found, expected};
      verdict.pass = element.error == 0 || within(element.error, element.tolerance);
    }
  }
  return verdict;
}

/// A verdict, and a diagnosis if it fails.
void judge_by_budget(const CaseFile& case_file, const CaseRank& rank,
                     const Matrix<double>& candidate, const ImportanceTruth& truth,
                     Judgement& judgement) {
  const ValueType stored = case_file.value_type;
  judgement.verdicts.push_back(compare_importance(rank, candidate, truth, stored));
  if (judgement.verdicts.back().pass) return;
  judgement.diagnoses.push_back(
      {rank.rank, explain_importance(
                      {case_file.config, rank.layout, truth.scores, truth.value, truth.query_rows},
                      [&](Index row, Index head, double expected) {
                        return element_error_of(candidate(row, head), expected,
                                                truth.tolerance(row, head), stored)
                            .ratio();
                      })});
}

/// Exact compressors: the best of the roundings that a candidate may have stored.
Verdict compare_exact(const CaseFile& case_file, const CaseRank& rank,
                      const CandidateFile& candidate, const Matrix<double>& given) {
  const Matrix<double> zero = Matrix<double>::Zero(given.rows(), given.cols());
  std::optional<Verdict> best;
  for (const ValueType type : {case_file.value_type, candidate.compute_type, candidate.out_type,
                               ValueType::kFloat32, ValueType::kFloat64}) {
    const Matrix<double> rounded =
        rank.importance.unaryExpr([&](double value) { return round_to(type, value); });
    Verdict verdict = compare_importance(rank, given, {rounded, zero, {}, 0}, ValueType::kFloat64);
    if (!best || (verdict.pass && !best->pass)) best = std::move(verdict);
  }
  return *best;
}

}  // namespace

void judge_importance(const CaseFile& case_file, const CaseRank& rank,
                      const CandidateFile& candidate, const CandidateRank& given,
                      Judgement& judgement) {
  const auto not_judged = [&](std::string why) {
    judgement.not_judged.push_back({rank.rank, "importance", std::move(why)});
  };
  if (!given.importance) return not_judged("not given");
  switch (case_file.config.compressor) {
    case Compressor::kRandom:
    case Compressor::kRecent:
      if (rank.importance.size() == 0) return not_judged("the case holds no importance");
      judgement.verdicts.push_back(compare_exact(case_file, rank, candidate, *given.importance));
      return;
    case Compressor::kQueryAware: {
      const auto query = score_query(case_file, rank);
      if (!query || query->rows() == 0) return not_judged("the case holds no score_query");
      judge_by_budget(case_file, rank, *given.importance,
                      query_aware_truth(case_file, rank, *query, candidate.compute_type),
                      judgement);
      return;
    }
    case Compressor::kRetainingHead:
      if (!rank.retaining) return not_judged("the case holds no retaining_input");
      judge_by_budget(case_file, rank, *given.importance,
                      retaining_truth(case_file, rank, *rank.retaining, candidate.compute_type),
                      judgement);
      return;
    case Compressor::kNone:
      break;
  }
  not_judged("the case selects nothing");
}

}  // namespace apb
