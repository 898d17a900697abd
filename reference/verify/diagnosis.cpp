#include "reference/verify/diagnosis.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/verify/evidence.hpp"
#include "reference/verify/failure_patterns.hpp"
#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {
namespace {

/// Explanations within this factor of the best are ties; of more than so many the best are said.
constexpr double kTie = 2;
constexpr std::size_t kMaxExplanations = 4;

/// A mistake of which at least the first glance may be.
struct TriedMistake {
  std::string text;
  Fit fit;
  bool is_rows;
};

/// Fewer numbers than these may agree with a mistake by chance.
constexpr Index kEnough = 8;

Index count_failing_numbers(const Evidence& evidence) {
  const Index of_pair =
      (evidence.out.rows() > 0 ? evidence.out.head_dim() : 0) + (evidence.lse.rows() > 0 ? 1 : 0);
  return std::ssize(evidence.failing) * of_pair;
}

/// Whether a mistake explains out, lse, or both and whatever of them is right where the other
/// fails.
bool explains_out(const Fit& with, const Fit& without) {
  return explains(with.out, without.out);
}
bool explains_lse(const Fit& with, const Fit& without) {
  return explains(with.lse, without.lse);
}
bool explains_all(const Fit& with, const Fit& without) {
  return (without.out.count() == 0 || explains_out(with, without)) &&
         (without.lse.count() == 0 || explains_lse(with, without)) && keeps_right(with.beside);
}

/// Whether a mistake may explain out or lse: it halves the error of a few pairs.
bool may_explain(const Fit& with, const Fit& without) {
  return (without.out.count() > 0 && with.out.rms() <= without.out.rms() / 2) ||
         (without.lse.count() > 0 && with.lse.rms() <= without.lse.rms() / 2);
}

std::vector<TriedMistake> try_mistakes(const Evidence& evidence) {
  const Evidence glance = first_glance(evidence);
  const Fit at_first = measure(glance, glance.truth);
  std::vector<TriedMistake> all;
  for (const Mistake& mistake : known_mistakes()) {
    for (const Variant& variant : mistake.variants(evidence)) {
      const auto fit_of = [&](const Evidence& on) {
        return measure(on, variant.attention(on.truth.rows, on.truth.heads));
      };
      if (!may_explain(fit_of(glance), at_first)) continue;
      all.push_back(
          {std::string(mistake.name) + variant.detail, fit_of(evidence), mistake.is_rows});
    }
  }
  return all;
}

/// What a mistake must explain: all that fails, or one of the quantities.
struct Question {
  bool (*explained)(const Fit& with, const Fit& without);
  double (*error)(const Fit& with);
  std::string prefix;  ///< of the answer
};

/// The best answers and their ties. `everywhere`: a mistake must keep right what is right.
std::vector<Explanation> answers(const std::vector<TriedMistake>& all, const Fit& without,
                                 const Question& question, bool everywhere) {
  std::vector<Explanation> found;
  double best = std::numeric_limits<double>::infinity();
  for (const TriedMistake& tried : all) {
    if (!question.explained(tried.fit, without)) continue;
    if ((everywhere || tried.is_rows) && !keeps_right(tried.fit.other_rows)) continue;
    if (everywhere && !keeps_right(tried.fit.other_heads)) continue;
    found.push_back({question.prefix + tried.text + (everywhere ? "" : ", in these places alone"),
                     question.error(tried.fit)});
    best = std::min(best, found.back().error);
  }
  std::erase_if(found, [&](const Explanation& one) { return one.error > kTie * best; });
  std::stable_sort(found.begin(), found.end(),
                   [](const auto& a, const auto& b) { return a.error < b.error; });
  if (found.size() > kMaxExplanations) found.resize(kMaxExplanations);
  return found;
}

/// A mistake made everywhere, or else where it fails.
std::vector<Explanation> answers(const std::vector<TriedMistake>& all, const Fit& without,
                                 const Question& question) {
  auto found = answers(all, without, question, true);
  return found.empty() ? answers(all, without, question, false) : found;
}

std::vector<Explanation> explain_by_mistakes(const Evidence& evidence, const Fit& without) {
  if (count_failing_numbers(evidence) < kEnough) return {};
  const std::vector<TriedMistake> all = try_mistakes(evidence);
  auto together =
      answers(all, without, {explains_all, [](const Fit& with) { return with.error(); }, ""});
  if (!together.empty() || without.out.count() == 0 || without.lse.count() == 0) return together;

  // Perhaps two mistakes at once, one in each quantity.
  auto apart = answers(all, without,
                       {explains_out, [](const Fit& with) { return with.out.rms(); }, "out: "});
  for (Explanation& more : answers(
           all, without, {explains_lse, [](const Fit& with) { return with.lse.rms(); }, "lse: "})) {
    apart.push_back(std::move(more));
  }
  return apart;
}

/// Whether numbers tell mistakes apart: where the inputs hold NaN, every mistake that lets it in
/// makes the same one.
bool can_tell_apart(const WrongResult& wrong, const FailingRows& failing) {
  if (failing.out.has_numbers() || failing.lse.has_numbers()) return true;
  return inputs_are_finite(wrong.setup);
}

std::string describe_rows(const WrongResult& wrong, const FailingPart& part) {
  std::vector<Index> rows;
  for (const Index i : part.rows()) rows.push_back(wrong.truth.rows[static_cast<std::size_t>(i)]);
  std::string text =
      fmt::format("{} ({} of {} judged", list_in_words(rows), rows.size(), wrong.truth.rows.size());
  if (wrong.rank != nullptr && wrong.setup.anchor_rows > 0 && !rows.empty()) {
    const Index anchor = wrong.setup.anchor_rows;
    if (rows.back() < anchor) text += ", all in the anchor";
    if (rows.front() >= anchor)
      text += fmt::format(", all in the block, which begins at {}", anchor);
  }
  if (part.together) text += ", none over its budget alone, but all together";
  return text + ")";
}

std::string describe_heads(const WrongResult& wrong, const FailingPart& part) {
  const std::vector<Index> places = part.heads();
  if (places.size() == wrong.truth.heads.size()) return fmt::format("all {}", places.size());
  std::vector<Index> heads;
  for (const Index h : places) heads.push_back(wrong.truth.heads[static_cast<std::size_t>(h)]);
  return list_in_words(heads);
}

/// Where out and lse fail; one place if both fail alike.
std::vector<WrongPlace> describe_places(const WrongResult& wrong, const FailingRows& failing) {
  std::vector<WrongPlace> places;
  for (const auto& [name, part] : {std::pair{"out", &failing.out}, {"lse", &failing.lse}}) {
    if (part->pairs.empty()) continue;
    places.push_back({name, describe_rows(wrong, *part), describe_heads(wrong, *part)});
  }
  if (places.size() == 2 && places[0].rows == places[1].rows &&
      places[0].heads == places[1].heads) {
    places = {{"out and lse", places[0].rows, places[0].heads}};
  }
  return places;
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

std::string Diagnosis::quantities() const {
  std::vector<std::string> names;
  for (const WrongPlace& place : places) names.push_back(place.quantity);
  return fmt::format("{}", fmt::join(names, " and "));
}

std::string Diagnosis::text() const {
  std::string where;
  for (const WrongPlace& place : places) {
    if (!where.empty()) where += "; ";
    where += place.quantity + " wrong";
    if (!place.rows.empty()) where += fmt::format(" in rows {}, heads {}", place.rows, place.heads);
  }
  if (explanations.empty()) return where + ": unknown pattern.";
  std::string text = where + ". It looks like:";
  for (const Explanation& explanation : explanations) {
    text += fmt::format("\n  {}", explanation.mistake);
    if (error > 0 && error < kVeryFar) {
      text += fmt::format(" (with it the error is {:.3g} of the budget, against the truth {:.3g})",
                          explanation.error, error);
    }
  }
  return text;
}

Diagnosis diagnose(const WrongResult& wrong) {
  const FailingRows failing = find_failing_rows(wrong);
  Diagnosis diagnosis;
  diagnosis.places = describe_places(wrong, failing);

  const Evidence evidence = gather_evidence(wrong, failing);
  const Fit against_truth = measure(evidence, evidence.truth);
  diagnosis.error = against_truth.error();
  if (can_tell_apart(wrong, failing)) {
    diagnosis.explanations = explain_by_mistakes(evidence, against_truth);
  }
  if (diagnosis.explanations.empty()) {
    for (std::string& pattern : find_patterns(evidence, failing)) {
      diagnosis.explanations.push_back({std::move(pattern), 0});
      diagnosis.error = 0;
    }
  }
  return diagnosis;
}

}  // namespace apb
