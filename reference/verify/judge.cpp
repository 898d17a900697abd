#include "reference/verify/judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "reference/core/error.hpp"
#include "reference/verify/failing_rows.hpp"
#include "reference/verify/judge_decode.hpp"
#include "reference/verify/judge_selection.hpp"

namespace apb {
namespace {

const CaseRank& case_rank(const CaseFile& case_file, int rank) {
  const auto found = std::find_if(case_file.ranks.begin(), case_file.ranks.end(),
                                  [&](const CaseRank& one) { return one.rank == rank; });
  if (found == case_file.ranks.end()) {
    throw BadInput("candidate", "rank", rank, "one of the ranks in the case");
  }
  return *found;
}

/// Places in `given` of the rows that are also wanted (all, if nothing is wanted in particular).
std::vector<Index> places_of(const std::vector<Index>& given, const std::vector<Index>& wanted) {
  std::vector<Index> places;
  for (const Index i : count_up(std::ssize(given))) {
    const Index row = given[static_cast<std::size_t>(i)];
    if (wanted.empty() || std::binary_search(wanted.begin(), wanted.end(), row)) {
      places.push_back(i);
    }
  }
  std::sort(places.begin(), places.end(), [&](Index a, Index b) {
    return given[static_cast<std::size_t>(a)] < given[static_cast<std::size_t>(b)];
  });
  return places;
}

void judge_prefill(const CaseFile& case_file, const CandidateFile& candidate,
                   const CandidateRank& given, const JudgeOptions& options, Judgement& judgement) {
  const CaseRank& rank = case_rank(case_file, given.rank);
  const std::vector<Index> held = given.row_index.value_or(count_up(rank.layout.rows()));
  const std::vector<Index> wanted = options.rows_of ? options.rows_of(rank) : std::vector<Index>{};
  const std::vector<Index> places = places_of(held, wanted);
  if (places.empty() && !held.empty()) {
    throw BadInput(
        fmt::format("candidate: rank {} holds none of the sampled rows (see --rows)", given.rank));
  }
  std::vector<Index> rows;
  for (const Index i : places) rows.push_back(held[static_cast<std::size_t>(i)]);
  const std::vector<Index> heads = count_up(case_file.config.num_q_heads);
  if (options.progress) {
    options.progress(fmt::format("rank {}: {} of {} rows, {} heads", given.rank, rows.size(),
                                 rank.layout.rows(), heads.size()));
  }
  judgement.coverage.rows += std::ssize(rows);
  judgement.coverage.rows_of_ranks += rank.layout.rows();
  const AttentionSetup setup = prefill_setup(rank, case_file.config);
  judge_attention({setup, &case_file, &rank, candidate.compute_type, candidate.out_type},
                  given.rank, "", rows,
                  given.out ? pick(*given.out, places, heads) : HeadsTensor<double>(),
                  given.lse ? pick(*given.lse, places, heads) : Matrix<double>(), judgement);
}

Verdict verdict_of(int rank, std::string quantity, const NormError& error, double tolerance) {
  return {rank,      std::move(quantity), error.error,
          tolerance, error.worst,         within(error.error, tolerance),
          {}};
}

}  // namespace

bool Judgement::pass() const {
  return std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.pass; });
}

void judge_attention(const AttentionSubject& subject, int rank, const std::string& prefix,
                     std::span<const Index> rows, const HeadsTensor<double>& out,
                     const Matrix<double>& lse, Judgement& judgement) {
  const std::vector<Index> heads = count_up(subject.setup.query.heads);
  const AttentionRows truth = true_attention(subject.setup, rows, heads);
  const AttentionRows plain =
      plain_attention(subject.setup, rows, heads, subject.compute_type, subject.out_type);
  const Tolerances tolerances = attention_tolerances(truth, plain, subject.out_type);
  const AttentionErrors errors = attention_errors(out, lse, truth);

  const std::size_t first = judgement.verdicts.size();
  if (out.rows() > 0) {
    judgement.verdicts.push_back(verdict_of(rank, prefix + "out max", errors.max, tolerances.max));
    judgement.verdicts.push_back(
        verdict_of(rank, prefix + "out frobenius", errors.frobenius, tolerances.frobenius));
    judgement.verdicts.push_back(
        verdict_of(rank, prefix + "out worst row", errors.worst_row, tolerances.worst_row));
    const ValueType type =
        subject.case_file != nullptr ? subject.case_file->value_type : subject.compute_type;
    judgement.field_checks.push_back({rank, prefix + "out", field_checks(out, truth.out, type)});
  }
  if (lse.rows() > 0) {
    judgement.verdicts.push_back(verdict_of(rank, prefix + "lse", errors.lse, tolerances.lse));
  }
  const auto fails = [&](const std::string& quantity) {
    return std::any_of(
        judgement.verdicts.begin() + static_cast<std::ptrdiff_t>(first), judgement.verdicts.end(),
        [&](const Verdict& v) { return !v.pass && v.quantity.starts_with(prefix + quantity); });
  };
  const bool out_fails = fails("out");
  const bool lse_fails = fails("lse");
  if (!out_fails && !lse_fails) return;
  Diagnosis diagnosis = diagnose({subject.setup, subject.case_file, subject.rank, truth, out, lse,
                                  tolerances, out_fails, lse_fails});
  for (WrongPlace& place : diagnosis.places) place.quantity = prefix + place.quantity;
  judgement.diagnoses.push_back({rank, std::move(diagnosis)});
}

Judgement judge(const CaseFile& case_file, const CandidateFile& candidate,
                const JudgeOptions& options) {
  Judgement judgement;
  judgement.coverage.ranks_of_case = std::ssize(case_file.ranks);
  for (const CaseRank& rank : case_file.ranks) {
    const std::size_t verdicts = judgement.verdicts.size();
    const auto given =
        std::find_if(candidate.ranks.begin(), candidate.ranks.end(),
                     [&](const CandidateRank& one) { return one.rank == rank.rank; });
    const CandidateRank nothing{rank.rank, {}, {}, {}, {}, {}};
    const CandidateRank& own = given == candidate.ranks.end() ? nothing : *given;
    if (!own.out) judgement.not_judged.push_back({rank.rank, "out", "not given"});
    if (!own.lse) judgement.not_judged.push_back({rank.rank, "lse", "not given"});
    if (own.out || own.lse) judge_prefill(case_file, candidate, own, options, judgement);
    judge_importance(case_file, rank, candidate, own, judgement);
    judge_selection(case_file, rank, own, judgement);
    if (judgement.verdicts.size() > verdicts) judgement.coverage.ranks.push_back(rank.rank);
  }
  for (const CandidateRank& given : candidate.ranks) (void)case_rank(case_file, given.rank);
  const std::size_t verdicts_of_ranks = judgement.verdicts.size();
  judge_decode(case_file, candidate, options, judgement);
  judgement.coverage.decode = judgement.verdicts.size() > verdicts_of_ranks;
  if (judgement.verdicts.empty()) {
    throw BadInput(
        "candidate: nothing to judge: must hold out, lse, importance, kept_positions or "
        "decode of a rank that the case holds");
  }
  return judgement;
}

void require_quantities(Judgement& judgement, const std::vector<std::string>& required) {
  for (const std::string& name : required) {
    if (std::find(kQuantities.begin(), kQuantities.end(), name) == kQuantities.end()) {
      throw BadInput("command line", "--require", name,
                     fmt::format("among {}", fmt::join(kQuantities, ", ")));
    }
    for (const NotJudged& missing : judgement.not_judged) {
      if (missing.quantity != name) continue;
      judgement.verdicts.push_back(
          {missing.rank, name, 0, 0, {}, false, "required, but " + missing.why});
    }
  }
}

}  // namespace apb
