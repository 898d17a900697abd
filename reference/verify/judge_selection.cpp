#include "reference/verify/judge_selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "reference/attention/selection.hpp"
#include "reference/verify/mistakes/wrong_selection.hpp"

namespace apb {
namespace {

/// What is wrong with the lists, counted over heads.
struct Faults {
  Index picks = 0;  ///< all that were kept
  Index missing = 0;
  Index extra = 0;  ///< candidates that should not have been kept
  Index twice = 0;
  Index outside = 0;       ///< no candidates at all
  Index nowhere = 0;       ///< no token of the document: a slot that was never written
  Index out_of_order = 0;  ///< lower than the position before
  WorstPlace first;        ///< first position that is missing: head, candidate (-1), reference

  [[nodiscard]] Index total() const { return missing + wrong_picks() + out_of_order; }
  [[nodiscard]] Index wrong_picks() const { return extra + twice + outside + nowhere; }
};

void add_head_faults(const CaseRank& rank, Index doc_len, Index head,
                     const std::vector<Index>& kept, const std::vector<Index>& expected,
                     Faults& faults) {
  faults.picks += std::ssize(kept);
  std::set<Index> set;
  Index before = -1;
  for (const Index position : kept) {
    if (position < 0 || position >= doc_len) {
      ++faults.nowhere;
      continue;
    }
    if (!set.insert(position).second) ++faults.twice;
    if (position < before) ++faults.out_of_order;
    before = position;
  }
  for (const Index position : set) {
    if (position < rank.layout.candidate_begin || position >= rank.layout.block_end()) {
      ++faults.outside;
    } else if (!std::binary_search(expected.begin(), expected.end(), position)) {
      ++faults.extra;
    }
  }
  for (const Index position : expected) {
    if (set.contains(position)) continue;
    ++faults.missing;
    if (faults.first.head < 0) {
      faults.first = {position - rank.layout.block_begin + rank.layout.anchor_rows, head, -1, -1,
                      static_cast<double>(position)};
    }
  }
}

Faults find_faults(const CaseRank& rank, Index doc_len, const HeadPositions& kept,
                   const HeadPositions& expected) {
  Faults faults;
  for (std::size_t head = 0; head < expected.size(); ++head) {
    add_head_faults(rank, doc_len, static_cast<Index>(head), kept[head], expected[head], faults);
  }
  return faults;
}

std::string note_of(const Faults& faults, bool own_importance) {
  std::string note = own_importance ? "on the candidate's importance" : "on the case's importance";
  if (faults.wrong_picks() > 0) {
    note += fmt::format(", {} of {} picks wrong", faults.wrong_picks(), faults.picks);
  }
  const auto add = [&](Index count, std::string_view what) {
    if (count > 0) note += fmt::format(", {} {}", count, what);
  };
  add(faults.missing, "missing");
  add(faults.extra, "too many");
  add(faults.twice, "twice");
  add(faults.outside, "not candidates");
  add(faults.nowhere, "outside the document (slots never written?)");
  add(faults.out_of_order, "not ascending");
  return note;
}

}  // namespace

HeadPositions exact_selection(const CaseRank& rank, const Matrix<double>& importance) {
  HeadPositions selected;
  const Index first = rank.layout.candidate_begin - rank.layout.block_begin;
  for (Index head = 0; head < importance.cols(); ++head) {
    std::vector<double> candidates;
    for (Index row = first; row < importance.rows(); ++row) {
      candidates.push_back(importance(row, head));
    }
    std::int64_t nan_count = 0;
    auto kept = select_top_k<double>(candidates, rank.layout.num_kept, nan_count);
    for (Index& position : kept) position += rank.layout.candidate_begin;
    selected.push_back(std::move(kept));
  }
  return selected;
}

void judge_selection(const CaseFile& case_file, const CaseRank& rank, const CandidateRank& given,
                     Judgement& judgement) {
  const auto not_judged = [&](std::string why) {
    judgement.not_judged.push_back({rank.rank, "kept_positions", std::move(why)});
  };
  if (!given.kept_positions) return not_judged("not given");
  const bool own_importance = given.importance.has_value();
  const Matrix<double>& importance = own_importance ? *given.importance : rank.importance;
  if (importance.rows() != rank.layout.block_len ||
      importance.cols() != case_file.config.num_kv_heads) {
    return not_judged("no importance to select by");
  }
  const HeadPositions expected = exact_selection(rank, importance);
  HeadPositions kept = *given.kept_positions;
  kept.resize(expected.size());
  const Faults faults = find_faults(rank, case_file.config.doc_len, kept, expected);
  judgement.verdicts.push_back({rank.rank, "kept_positions", static_cast<double>(faults.total()), 0,
                                faults.first, faults.total() == 0,
                                note_of(faults, own_importance)});
  if (faults.total() == 0) return;
  Diagnosis diagnosis;
  diagnosis.places = {{"kept_positions", "", ""}};
  diagnosis.explanations = explain_selection({rank, importance, expected}, kept);
  judgement.diagnoses.push_back({rank.rank, std::move(diagnosis)});
}

}  // namespace apb
