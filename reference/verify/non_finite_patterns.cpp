#include "reference/verify/non_finite_patterns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "reference/verify/failure_patterns.hpp"

namespace apb {
namespace {

/// NaN where the inputs hold NaN that the failing rows, whose truth is finite, do not see.
std::string hidden_nan(const WrongResult& wrong, const FailingRows& failing) {
  if (inputs_are_finite(wrong.setup)) return {};
  if (failing.lse.has_non_finite()) {
    return "causal mask missing, or added to the scores (NaN - inf is NaN: select -inf instead): "
           "NaN of keys that the rows do not see reaches their lse";
  }
  std::string text =
      "NaN from what is not visible: weight 0 times NaN is NaN (mask the values, not only the "
      "scores)";
  if (wrong.lse.rows() == 0) text += "; or no mask at all, which lse would tell";
  return text;
}

/// A row and head of the evidence: whether its result is NaN or infinite and should not be, and
/// the numbers of which one may have been too large.
struct Pair {
  bool broken = false;
  double lse = 0;          ///< of the truth
  double largest = 0;      ///< scaled score that is seen
  double largest_raw = 0;  ///< the same before scaling
};

double largest_score(const AttentionSetup& setup, Index row, Index head) {
  double largest = -kInfinite;
  for (const KeyStretch& stretch : setup.keys) {
    const Index seen = std::clamp(stretch.visible(row), Index{0}, stretch.key.rows);
    if (seen == 0) continue;
    const auto key = head_matrix(stretch.key, setup.kv_head(head)).topRows(seen);
    largest =
        std::max(largest, (key * head_matrix(setup.query, head).row(row).transpose()).maxCoeff());
  }
  return setup.softmax_scale * largest;
}

std::vector<Pair> measure_pairs(const Evidence& evidence) {
  std::vector<Pair> pairs;
  for (Index i = 0; i < evidence.truth.lse.rows(); ++i) {
    for (Index h = 0; h < evidence.truth.lse.cols(); ++h) {
      if (evidence.truth.lse(i, h) == -kInfinite) continue;  // sees nothing
      Pair pair;
      if (evidence.out.rows() > 0) {
        pair.broken = !head_matrix(evidence.out.view(), h).row(i).allFinite();
      }
      if (evidence.lse.rows() > 0) pair.broken |= !std::isfinite(evidence.lse(i, h));
      pair.lse = evidence.truth.lse(i, h);
      pair.largest =
          largest_score(evidence.wrong.setup, evidence.row({i, h}), evidence.head({i, h}));
      pair.largest_raw = pair.largest / evidence.wrong.setup.softmax_scale;
      pairs.push_back(pair);
    }
  }
  return pairs;
}

/// A number beyond which a format has none, and that all broken pairs exceed and all others do not.
/// It is given as a range: where exactly a kernel overflows depends on how it rounds and sums.
struct Limit {
  const char* cause;
  double (*number)(const Pair&);
  double low;   ///< broken pairs have at least this
  double high;  ///< others have at most this
};

// float16 ends at 65,504 = exp(11.09). float32 ends at exp(88.72): a sum of exp, exp(lse), beyond
// it is infinite, and so may be its product with values some powers of two earlier; below
// exp(-87.3) it loses bits, below exp(-103.3) all of them.
constexpr std::array kLimits{
    Limit{"q·k overflows in float16 (beyond 65,504), before it is scaled",
          [](const Pair& pair) { return pair.largest_raw; }, 6.0e4, 6.9e4},
    Limit{"scaled scores overflow in float16 (beyond 65,504)",
          [](const Pair& pair) { return pair.largest; }, 6.0e4, 6.9e4},
    Limit{
        "softmax without the maximum: exp of a score overflows in float32 (where lse is above 88)",
        [](const Pair& pair) { return pair.lse; }, 83, 89.5},
    Limit{
        "softmax without the maximum: exp of a score overflows in float16 (where one is above 11)",
        [](const Pair& pair) { return pair.largest; }, 10.9, 11.3},
    Limit{"softmax without the maximum: every exp vanishes in float32 (where lse is below -87)",
          [](const Pair& pair) { return -pair.lse; }, 86, 104.5},
};

std::vector<std::string> overflows(const std::vector<Pair>& pairs) {
  std::vector<std::string> causes;
  if (std::none_of(pairs.begin(), pairs.end(), [](const Pair& p) { return p.broken; })) return {};
  for (const Limit& limit : kLimits) {
    const bool fits = std::all_of(pairs.begin(), pairs.end(), [&](const Pair& pair) {
      const double number = limit.number(pair);
      return pair.broken ? number >= limit.low : number <= limit.high;
    });
    if (fits) causes.emplace_back(limit.cause);
  }
  return causes;
}

/// All failing lse are -inf, though keys are seen.
std::string sum_is_zero(const WrongResult& wrong, const FailingRows& failing) {
  if (only_value_of_lse(wrong, failing.lse) != -kInfinite) return {};
  if (failing.out.pairs.empty()) return "lse is -inf where keys are seen, though out is right";
  if (only_value_of_out(wrong, failing.out) == 0) return never_written(wrong, failing);
  return "lse is -inf where keys are seen: the sum of their weights came out as 0";
}

/// Whether exactly the judged rows from `begin` to `end` fail, each in the same heads.
bool fails_exactly(const WrongResult& wrong, const FailingRows& failing, Index begin, Index end) {
  std::vector<Index> wanted;
  for (const Index row : wrong.truth.rows) {
    if (row >= begin && row < end) wanted.push_back(row);
  }
  if (row_numbers(wrong, failing.rows()) != wanted) return false;
  std::set<std::pair<Index, Index>> pairs;
  for (const FailingPart* part : {&failing.out, &failing.lse}) {
    for (const FailingPair& pair : part->pairs) pairs.insert({pair.row, pair.head});
  }
  return pairs.size() == wanted.size() * failing.heads().size();
}

/// Padding is read where a segment ends inside a tile: by every row that sees the segment to its
/// end, or, of its own keys, by the rows of the last tile.
std::string padding(const WrongResult& wrong, const FailingRows& failing) {
  const auto& keys = wrong.setup.keys;
  const bool ragged = std::any_of(keys.begin(), keys.end(), [](const KeyStretch& stretch) {
    return stretch.key.rows % kTileHeights.front() != 0;
  });
  if (!ragged) return {};
  const std::string text =
      "NaN or infinity from padding: stale values past a segment's end were read";
  for (const Frame& frame : frames_of(wrong)) {
    if (fails_exactly(wrong, failing, frame.begin, frame.end)) return text;
    for (const Index tile : kTileHeights) {
      const Index full = (frame.end - frame.begin) / tile * tile;
      if (full == 0 || !fails_exactly(wrong, failing, frame.begin + full, frame.end)) continue;
      return text + "; " + last_partial_tile(frames_of(wrong), row_numbers(wrong, failing.rows()));
    }
  }
  return {};
}

}  // namespace

std::vector<std::string> find_non_finite_patterns(const Evidence& evidence,
                                                  const FailingRows& failing) {
  const WrongResult& wrong = evidence.wrong;
  if (auto text = hidden_nan(wrong, failing); !text.empty()) return {text};
  std::vector<std::string> causes = overflows(measure_pairs(evidence));
  const std::string from_padding = padding(wrong, failing);
  if (auto text = sum_is_zero(wrong, failing); causes.empty() && !text.empty()) return {text};
  // A row that nobody writes lacks its lse too.
  const bool lse_right = wrong.lse.rows() > 0 && failing.lse.pairs.empty();
  if (auto text = never_written(wrong, failing); !text.empty() && !lse_right) {
    causes.push_back(std::move(text));
  }
  if (!from_padding.empty()) causes.push_back(from_padding);
  return causes;
}

}  // namespace apb
