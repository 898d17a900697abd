#include "reference/verify/diagnosis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/verify/failing_rows.hpp"
#include "reference/verify/failure_patterns.hpp"
#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {
namespace {

/// What mistakes are tried on: at most so many failing and so many right rows, and heads.
constexpr std::size_t kFailingRows = 24;
constexpr std::size_t kRightRows = 8;
constexpr std::size_t kTriedHeads = 4;

/// A mistake explains an error that it makes this many times smaller.
constexpr double kClearlySmaller = 10;
/// Explanations within this factor of the best are ties.
constexpr double kTie = 2;

/// At most `count` of the numbers, evenly spread, first and last included.
std::vector<Index> spread(const std::vector<Index>& numbers, std::size_t count) {
  if (numbers.size() <= count) return numbers;
  std::vector<Index> chosen;
  for (std::size_t i = 0; i < count; ++i) {
    chosen.push_back(numbers[i * (numbers.size() - 1) / (count - 1)]);
  }
  return chosen;
}

/// Places (not row numbers) of rows that do not fail.
std::vector<Index> others(const std::vector<Index>& failing, Index count) {
  std::vector<Index> right;
  for (const Index i : count_up(count)) {
    if (!std::binary_search(failing.begin(), failing.end(), i)) right.push_back(i);
  }
  return right;
}

Evidence gather_evidence(const WrongResult& wrong, const FailingRows& failing) {
  std::vector<Index> rows = spread(failing.rows, kFailingRows);
  const auto right = spread(others(failing.rows, wrong.truth.lse.rows()), kRightRows);
  rows.insert(rows.end(), right.begin(), right.end());
  std::sort(rows.begin(), rows.end());
  const std::vector<Index> heads = spread(failing.heads, kTriedHeads);

  Evidence evidence{wrong, pick(wrong.truth, rows, heads), {}, {}, {}};
  evidence.tolerances = pick(wrong.tolerances, rows, heads);
  if (wrong.out.rows() > 0) evidence.out = pick(wrong.out, rows, heads);
  if (wrong.lse.rows() > 0) evidence.lse = pick(wrong.lse, rows, heads);
  return evidence;
}

/// Errors against a hypothesis, in units of the tolerances.
struct Ratios {
  double out = 0;
  double lse = 0;
  [[nodiscard]] double both() const { return out > lse || std::isnan(out) ? out : lse; }
};

Ratios measure(const Evidence& evidence, const AttentionRows& hypothesis) {
  Ratios ratios;
  const auto keep = [](double& worst, double share) {
    if (share > worst || std::isnan(share)) worst = share;
  };
  for (Index i = 0; i < hypothesis.lse.rows(); ++i) {
    for (Index h = 0; h < hypothesis.lse.cols() && !std::isnan(ratios.out); ++h) {
      if (evidence.out.rows() == 0) break;
      keep(ratios.out,
           budget_share(row_error(evidence.out.view().at(i, h), hypothesis.out.view().at(i, h),
                                  evidence.out.head_dim()),
                        evidence.tolerances.out(i, h)));
    }
    for (Index h = 0; h < evidence.lse.cols() && !std::isnan(ratios.lse); ++h) {
      keep(ratios.lse, budget_share(element_error(evidence.lse(i, h), hypothesis.lse(i, h)),
                                    evidence.tolerances.lse(i, h)));
    }
  }
  return ratios;
}

bool explains(double error, double error_against_truth) {
  return std::isfinite(error) && (error <= 1 || error * kClearlySmaller <= error_against_truth);
}

/// A mistake with the errors that remain under it.
struct TriedMistake {
  std::string text;
  Ratios ratios;
};

std::vector<TriedMistake> try_mistakes(const Evidence& evidence) {
  std::vector<TriedMistake> all;
  for (const Mistake& mistake : known_mistakes()) {
    for (const Variant& variant : mistake.variants(evidence)) {
      const AttentionRows hypothesis =
          true_attention(variant.setup, evidence.truth.rows, evidence.truth.heads);
      all.push_back({std::string(mistake.name) + variant.detail, measure(evidence, hypothesis)});
    }
  }
  return all;
}

/// Whether a mistake explains out, and whether it explains lse, each where it is given.
bool explains_out(const Ratios& ratios, const Ratios& against_truth) {
  return explains(ratios.out, against_truth.out);
}
bool explains_lse(const Ratios& ratios, const Ratios& against_truth) {
  return explains(ratios.lse, against_truth.lse);
}
bool explains_all(const Ratios& ratios, const Ratios& against_truth) {
  return explains_out(ratios, against_truth) && explains_lse(ratios, against_truth);
}

/// The best explanation and its ties.
std::vector<Explanation> best_of(const std::vector<TriedMistake>& all, const Ratios& against_truth,
                                 bool (*is_explained)(const Ratios&, const Ratios&),
                                 double (*error_of)(const Ratios&), const std::string& prefix) {
  double best = std::numeric_limits<double>::infinity();
  std::vector<Explanation> explanations;
  for (const TriedMistake& tried : all) {
    if (!is_explained(tried.ratios, against_truth)) continue;
    explanations.push_back({prefix + tried.text, error_of(tried.ratios)});
    best = std::min(best, explanations.back().error);
  }
  std::erase_if(explanations, [&](const Explanation& one) { return one.error > kTie * best; });
  std::stable_sort(explanations.begin(), explanations.end(),
                   [](const auto& a, const auto& b) { return a.error < b.error; });
  return explanations;
}

std::vector<Explanation> explain_by_mistakes(const Evidence& evidence,
                                             const Ratios& against_truth) {
  const std::vector<TriedMistake> all = try_mistakes(evidence);
  auto together = best_of(
      all, against_truth, explains_all, [](const Ratios& r) { return r.both(); }, "");
  if (!together.empty() || evidence.out.rows() == 0 || evidence.lse.rows() == 0) return together;

  // Perhaps two mistakes at once, one in each quantity.
  std::vector<Explanation> apart;
  if (!(against_truth.out <= 1)) {
    apart = best_of(
        all, against_truth, explains_out, [](const Ratios& r) { return r.out; }, "out: ");
  }
  if (!(against_truth.lse <= 1)) {
    for (Explanation& more : best_of(
             all, against_truth, explains_lse, [](const Ratios& r) { return r.lse; }, "lse: ")) {
      apart.push_back(std::move(more));
    }
  }
  return apart;
}

std::string describe_rows(const WrongResult& wrong, const FailingRows& failing) {
  std::vector<Index> rows;
  for (const Index i : failing.rows) rows.push_back(wrong.truth.rows[static_cast<std::size_t>(i)]);
  std::string text =
      fmt::format("{} ({} of {} judged", list_in_words(rows), rows.size(), wrong.truth.rows.size());
  if (wrong.rank != nullptr && wrong.setup.anchor_rows > 0 && !rows.empty()) {
    const Index anchor = wrong.setup.anchor_rows;
    if (rows.back() < anchor) text += ", all in the anchor";
    if (rows.front() >= anchor)
      text += fmt::format(", all in the block, which begins at {}", anchor);
  }
  return text + ")";
}

std::string describe_heads(const WrongResult& wrong, const FailingRows& failing) {
  if (failing.heads.size() == wrong.truth.heads.size()) {
    return fmt::format("all {}", failing.heads.size());
  }
  std::vector<Index> heads;
  for (const Index h : failing.heads) {
    heads.push_back(wrong.truth.heads[static_cast<std::size_t>(h)]);
  }
  return list_in_words(heads);
}

}  // namespace

std::string list_in_words(const std::vector<Index>& numbers) {
  constexpr int kMaxRuns = 8;
  std::string text;
  int runs = 0;
  for (std::size_t i = 0; i < numbers.size(); ++runs) {
    if (runs == kMaxRuns) return text + ", …";
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += fmt::format("{}{}", runs == 0 ? "" : ", ", numbers[i]);
    if (last > i) text += fmt::format("-{}", numbers[last]);
    i = last + 1;
  }
  return text;
}

std::string Diagnosis::text() const {
  std::string where = quantities + " wrong";
  if (!rows.empty()) where += fmt::format(" in rows {}, heads {}", rows, heads);
  if (explanations.empty()) return where + ": unknown pattern.";
  std::string text = where + ". It looks like:";
  for (const Explanation& explanation : explanations) {
    text += fmt::format("\n  {}", explanation.mistake);
    if (error > 0) {
      text += fmt::format(" (with it the error is {:.3g} of the budget, against the truth {:.3g})",
                          explanation.error, error);
    }
  }
  return text;
}

Diagnosis diagnose(const WrongResult& wrong) {
  const FailingRows failing = find_failing_rows(wrong);
  Diagnosis diagnosis;
  diagnosis.quantities = failing.quantities;
  diagnosis.rows = describe_rows(wrong, failing);
  diagnosis.heads = describe_heads(wrong, failing);

  const Evidence evidence = gather_evidence(wrong, failing);
  const Ratios against_truth = measure(evidence, evidence.truth);
  diagnosis.error = against_truth.both();
  // Every mistake that lets a NaN in makes the same NaN: only numbers tell them apart.
  if (failing.numbers) diagnosis.explanations = explain_by_mistakes(evidence, against_truth);
  if (diagnosis.explanations.empty()) {
    if (auto pattern = find_pattern(wrong, failing); !pattern.empty()) {
      diagnosis.explanations = {{std::move(pattern), 0}};
      diagnosis.error = 0;
    }
  }
  return diagnosis;
}

}  // namespace apb
