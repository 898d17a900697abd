#include "reference/verify/mistakes/wrong_importance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "reference/attention/selection.hpp"
#include "reference/verify/misfit.hpp"

namespace apb {
namespace {

WrongImportance times(const ImportanceEvidence& evidence, double factor) {
  return {factor * evidence.truth, factor};
}

/// A mean over `count` taken as a sum.
WrongImportance summed(const ImportanceEvidence& evidence, Index count) {
  if (evidence.query_rows == 0 || count < 2) return {};
  return times(evidence, static_cast<double>(count));
}

WrongImportance sum_over_rows(const ImportanceEvidence& evidence) {
  return summed(evidence, evidence.query_rows);
}
WrongImportance sum_over_group(const ImportanceEvidence& evidence) {
  return summed(evidence, evidence.config.group_size());
}
WrongImportance sum_over_both(const ImportanceEvidence& evidence) {
  const Index group = evidence.config.group_size();
  if (evidence.query_rows < 2 || group < 2) return {};  // one of the others
  return summed(evidence, evidence.query_rows * group);
}
WrongImportance scaled(const ImportanceEvidence& evidence) {
  return times(evidence, evidence.config.softmax_scale);
}

/// Rules out what is no candidate, as the truth does.
WrongImportance ruled_out(const ImportanceEvidence& evidence, Matrix<double> pooled) {
  const Index excluded = evidence.layout.candidate_begin - evidence.layout.block_begin;
  pooled.topRows(excluded) = evidence.truth.topRows(excluded);
  return {std::move(pooled), 1};
}

WrongImportance unpooled(const ImportanceEvidence& evidence) {
  return ruled_out(evidence, evidence.scores);
}

/// Beyond the edges counts as 0, as where a buffer is padded with zeros.
WrongImportance padded_with_0(const ImportanceEvidence& evidence) {
  const Index reach = evidence.config.pool_kernel / 2;
  const Index rows = evidence.scores.rows();
  Matrix<double> pooled = max_pool(evidence.scores, evidence.config.pool_kernel);
  for (Index row = 0; row < rows; ++row) {
    if (row < reach || row >= rows - reach) pooled.row(row) = pooled.row(row).cwiseMax(0);
  }
  return ruled_out(evidence, std::move(pooled));
}

constexpr std::array kImportanceMistakes{
    ImportanceMistake{"importance summed over the question's rows, not their mean", sum_over_rows},
    ImportanceMistake{"importance summed over a group's query heads, not their mean",
                      sum_over_group},
    ImportanceMistake{"importance summed over the question's rows and a group's query heads",
                      sum_over_both},
    ImportanceMistake{"importance scaled by softmax_scale", scaled},
    ImportanceMistake{"importance not pooled", unpooled},
    ImportanceMistake{"importance pooled with 0 beyond the block's edges", padded_with_0},
};

/// Fewer elements may agree by chance with a mistake that changes others too.
constexpr Index kEnoughElements = 8;

/// Where an element fails, and how far it is off the truth.
struct FailingElements {
  Matrix<char> fails;  ///< [block_rows, num_kv_heads], 1 or 0
  Misfit error;
  std::vector<Index> rows;
  std::vector<Index> heads;
};

FailingElements find_failing_elements(const ImportanceEvidence& evidence,
                                      const ImportanceError& error) {
  FailingElements found;
  found.fails = Matrix<char>::Zero(evidence.truth.rows(), evidence.truth.cols());
  std::set<Index> rows;
  std::set<Index> heads;
  for (Index row = 0; row < evidence.truth.rows(); ++row) {
    for (Index head = 0; head < evidence.truth.cols(); ++head) {
      const double off = error(row, head, evidence.truth(row, head));
      if (off <= 1) continue;
      found.fails(row, head) = 1;
      found.error.add(off);
      rows.insert(evidence.layout.anchor_rows + row);
      heads.insert(head);
    }
  }
  found.rows.assign(rows.begin(), rows.end());
  found.heads.assign(heads.begin(), heads.end());
  return found;
}

}  // namespace

std::span<const ImportanceMistake> known_importance_mistakes() {
  return kImportanceMistakes;
}

Diagnosis explain_importance(const ImportanceEvidence& evidence, const ImportanceError& error) {
  const FailingElements failing = find_failing_elements(evidence, error);
  const Index all_heads = evidence.truth.cols();
  Diagnosis diagnosis;
  diagnosis.places = {{"importance",
                       fmt::format("{} ({} of {})", list_in_words(failing.rows),
                                   failing.rows.size(), evidence.truth.rows()),
                       std::ssize(failing.heads) == all_heads ? fmt::format("all {}", all_heads)
                                                              : list_in_words(failing.heads)}};
  diagnosis.error = failing.error.rms();
  for (const ImportanceMistake& mistake : known_importance_mistakes()) {
    const WrongImportance wrong = mistake.importance(evidence);
    Misfit with;
    Misfit right;
    for (Index row = 0; row < wrong.value.rows(); ++row) {
      for (Index head = 0; head < wrong.value.cols(); ++head) {
        const bool fails = failing.fails(row, head) != 0;
        (fails ? with : right).add(error(row, head, wrong.value(row, head)) / wrong.factor);
      }
    }
    if (with.count() == 0 || !explains(with, failing.error)) continue;
    const bool everywhere = keeps_right(right);
    if (!everywhere && with.count() < kEnoughElements) continue;
    diagnosis.explanations.push_back(
        {std::string(mistake.name) + (everywhere ? "" : ", in these places alone"), with.rms()});
  }
  std::stable_sort(diagnosis.explanations.begin(), diagnosis.explanations.end(),
                   [](const auto& a, const auto& b) { return a.error < b.error; });
  return diagnosis;
}

}  // namespace apb
