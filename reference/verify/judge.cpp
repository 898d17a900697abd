#include "reference/verify/judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "reference/core/error.hpp"
#include "reference/verify/failing_rows.hpp"
#include "reference/verify/judge_decode.hpp"
#include "reference/verify/judge_selection.hpp"
#include "reference/verify/rounded_inputs.hpp"

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

/// A quantity is there only with all of its rows that were asked for.
void note_missing_rows(const CandidateRank& given, Index held, Index wanted, Judgement& judgement) {
  if (held == wanted) return;
  const std::string why = fmt::format("only {} of {} rows given", held, wanted);
  if (given.out) judgement.not_judged.push_back({given.rank, "out", why});
  if (given.lse) judgement.not_judged.push_back({given.rank, "lse", why});
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
  note_missing_rows(given, std::ssize(rows),
                    wanted.empty() ? rank.layout.rows() : std::ssize(wanted), judgement);
  const AttentionSetup setup = prefill_setup(rank, case_file.config);
  const HeadsTensor<double> out =
      given.out ? pick(*given.out, places, heads) : HeadsTensor<double>();
  const Matrix<double> lse = given.lse ? pick(*given.lse, places, heads) : Matrix<double>();
  judge_attention({setup, &case_file, &rank, candidate.precision(), candidate.compute_type},
                  given.rank, "", rows, out, lse, judgement);
  judge_out_type(given.rank, "out", candidate.out_type, out, judgement);
}

/// What a candidate declares beyond its types.
std::string declared_in_words(const CandidateFile& candidate) {
  std::string text;
  if (candidate.p_type) text = fmt::format("P in {}", to_string(*candidate.p_type));
  if (candidate.exp_accuracy) {
    text += fmt::format("{}exp within {:.3g}", text.empty() ? "" : ", ", *candidate.exp_accuracy);
  }
  return text;
}

void fail(int rank, const std::string& quantity, const std::string& why, Judgement& judgement) {
  judgement.verdicts.push_back({rank, quantity, 0, 0, {}, false, "required, but " + why});
}

/// That the candidate's precision is not the case's.
std::string mismatch_in_words(const CaseFile& case_file, const CandidateFile& candidate) {
  if (!rounds_inputs(candidate.compute_type, case_file.value_type)) return {};
  return fmt::format(
      "The case's inputs are {0}, the candidate computes in {1}: if it rounds them, it answers "
      "another case. ./apb case --dtype {1} makes the one that fits.",
      to_string(case_file.value_type), to_string(candidate.compute_type));
}

}  // namespace

bool Judgement::without_lse() const {
  // "out worst row", "decode merged out worst row": lse stands for the same rows.
  const std::string out = std::string(kOutWorstRow);
  return std::any_of(verdicts.begin(), verdicts.end(), [&](const Verdict& of_out) {
    if (!of_out.quantity.ends_with(out)) return false;
    const std::string lse =
        of_out.quantity.substr(0, of_out.quantity.size() - out.size()) + std::string(kLse);
    return std::none_of(verdicts.begin(), verdicts.end(), [&](const Verdict& other) {
      return other.rank == of_out.rank && other.quantity == lse;
    });
  });
}

bool Judgement::pass() const {
  return std::all_of(verdicts.begin(), verdicts.end(), [](const Verdict& v) { return v.pass; });
}

Judgement judge(const CaseFile& case_file, const CandidateFile& candidate,
                const JudgeOptions& options) {
  Judgement judgement;
  judgement.declared = declared_in_words(candidate);
  judgement.mismatch = mismatch_in_words(case_file, candidate);
  judgement.coverage.ranks_of_case = std::ssize(case_file.ranks);
  judgement.coverage.decode_of_case = case_file.decode.has_value();
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
    if (name == "decode" && !judgement.coverage.decode_of_case) {
      fail(kMergedRank, name, "the case holds no query pass (--decode)", judgement);
    }
    for (const NotJudged& one : judgement.not_judged) {
      if (one.quantity == name) fail(one.rank, name, one.why, judgement);
    }
  }
}

}  // namespace apb
