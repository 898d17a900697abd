#include "reference/verify/mistakes/wrong_selection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "reference/attention/selection.hpp"
#include "reference/verify/evidence.hpp"

namespace apb {
namespace {

HeadPositions shifted(HeadPositions positions, Index by) {
  for (auto& head : positions) {
    for (Index& position : head) position += by;
  }
  return positions;
}

HeadPositions one_too_high(const SelectionEvidence& evidence) {
  return shifted(evidence.expected, 1);
}
HeadPositions one_too_low(const SelectionEvidence& evidence) {
  return shifted(evidence.expected, -1);
}
HeadPositions from_block(const SelectionEvidence& evidence) {
  return shifted(evidence.expected, -evidence.rank.layout.block_begin);
}
HeadPositions from_candidates(const SelectionEvidence& evidence) {
  return shifted(evidence.expected, -evidence.rank.layout.candidate_begin);
}
HeadPositions from_rows(const SelectionEvidence& evidence) {
  const RankLayout& layout = evidence.rank.layout;
  return shifted(evidence.expected, layout.anchor_rows - layout.block_begin);
}

HeadPositions lowest(const SelectionEvidence& evidence) {
  return exact_selection(evidence.rank, -evidence.importance);
}

/// The exact selection read from the block's end.
HeadPositions late_ties(const SelectionEvidence& evidence) {
  HeadPositions selected;
  const RankLayout& layout = evidence.rank.layout;
  const Index first = layout.candidate_begin - layout.block_begin;
  for (Index head = 0; head < evidence.importance.cols(); ++head) {
    std::vector<double> backwards;
    for (Index row = evidence.importance.rows() - 1; row >= first; --row) {
      backwards.push_back(evidence.importance(row, head));
    }
    std::int64_t nan_count = 0;
    auto kept = select_top_k<double>(backwards, layout.num_kept, nan_count);
    for (Index& place : kept) place = layout.block_end() - 1 - place;
    std::reverse(kept.begin(), kept.end());
    selected.push_back(std::move(kept));
  }
  return selected;
}

/// As torch.topk orders them. Infinity then comes second.
HeadPositions nan_highest(const SelectionEvidence& evidence) {
  const Matrix<double> importance = evidence.importance.unaryExpr([](double value) {
    if (std::isnan(value)) return kInfinite;
    return value == kInfinite ? std::numeric_limits<double>::max() : value;
  });
  return exact_selection(evidence.rank, importance);
}

constexpr std::array kSelectionMistakes{
    SelectionMistake{"kept positions off by one: each is one too high", one_too_high},
    SelectionMistake{"kept positions off by one: each is one too low", one_too_low},
    SelectionMistake{"kept positions count from the block's first token, not the document's",
                     from_block},
    SelectionMistake{
        "kept positions count from the first candidate, not the document's first token",
        from_candidates},
    SelectionMistake{"kept positions count the rank's rows, anchor included", from_rows},
    SelectionMistake{"the lowest importance is kept, not the highest", lowest},
    SelectionMistake{"ties go to the higher position", late_ties},
    SelectionMistake{"NaN is taken as the highest importance, not the lowest", nan_highest},
};

bool same_set(const std::vector<Index>& a, const std::vector<Index>& b) {
  return std::set(a.begin(), a.end()) == std::set(b.begin(), b.end());
}

}  // namespace

std::span<const SelectionMistake> known_selection_mistakes() {
  return kSelectionMistakes;
}

std::vector<Explanation> explain_selection(const SelectionEvidence& evidence,
                                           const HeadPositions& kept) {
  std::vector<Explanation> explanations;
  std::vector<Index> wrong_heads;
  for (std::size_t head = 0; head < kept.size(); ++head) {
    if (!same_set(kept[head], evidence.expected[head])) {
      wrong_heads.push_back(static_cast<Index>(head));
    }
  }
  if (wrong_heads.empty()) return {{"the right positions, but they do not ascend", 0}};
  for (const SelectionMistake& mistake : known_selection_mistakes()) {
    const HeadPositions positions = mistake.positions(evidence);
    const auto made = [&](Index head) {
      const auto h = static_cast<std::size_t>(head);
      return same_set(kept[h], positions[h]);
    };
    if (!std::all_of(wrong_heads.begin(), wrong_heads.end(), made)) continue;
    const std::vector<Index> all = count_up(std::ssize(kept));
    const bool everywhere = std::all_of(all.begin(), all.end(), made);
    explanations.push_back(
        {std::string(mistake.name) +
             (everywhere ? "" : ", in KV heads " + list_in_words(wrong_heads) + " alone"),
         0});
  }
  return explanations;
}

}  // namespace apb
