// Which tile a kernel lost, or how wide its window is: every tile and every width is tried at once
// on a few rows, by sums of weights and weighted values; the best becomes a variant.

#include "reference/verify/mistakes/lost_stretch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/verify/mistakes/setup_changes.hpp"

namespace apb {
namespace {

/// Failing pairs looked at: enough to tell neighbours apart, few enough to be quick.
constexpr std::size_t kSearchedPairs = 6;
/// A tile is smaller than the chunks that ranks pass on; below 64 no kernel loads keys.
constexpr std::array<Index, 2> kLostTiles{64, 128};

/// How far a pair of the evidence is from what its row would give if some of its keys were lost.
/// \param weight of the lost keys, as shares of the row's sum
/// \param value  theirs, weighted and summed
double error_without(const Evidence& evidence, PairPlace place, double weight,
                     const Eigen::RowVectorXd& value) {
  const double rest = std::max(1 - weight, std::numeric_limits<double>::min());
  double error = 0;
  if (evidence.out.rows() > 0) {
    const auto truth = head_matrix(evidence.truth.out.view(), place.head).row(place.row);
    const Eigen::RowVectorXd expected = (truth - value) / rest;
    const double of_out = evidence.out_error(place, expected.data());
    error += of_out * of_out;
  }
  if (evidence.lse.rows() > 0) {
    const double of_lse =
        evidence.lse_error(place, evidence.truth.lse(place.row, place.head) + std::log(rest));
    error += of_lse * of_lse;
  }
  return error;
}

/// All keys that a pair's row sees, in key order: their weights and where they are among all keys.
struct SeenKeys {
  Eigen::VectorXd weight;
  Matrix<double> value;       ///< [seen keys, head_dim]
  std::vector<Index> number;  ///< of the key among all keys
};

SeenKeys keys_seen(const Evidence& evidence, PairPlace place) {
  const AttentionSetup& setup = evidence.wrong.setup;
  const Index row = evidence.row(place);
  const Index head = evidence.head(place);
  const double lse = evidence.truth.lse(place.row, place.head);
  Index total = 0;
  for (const KeyStretch& stretch : setup.keys) total += seen_keys(stretch, row);
  SeenKeys keys{Eigen::VectorXd(total), Matrix<double>(total, setup.query.head_dim), {}};
  Index first = 0;
  for (const KeyStretch& stretch : setup.keys) {
    const Index seen = seen_keys(stretch, row);
    const Index at = std::ssize(keys.number);
    keys.weight.segment(at, seen) = key_weights(setup, stretch, row, head, seen, lse);
    keys.value.middleRows(at, seen) = head_matrix(stretch.value, setup.kv_head(head)).topRows(seen);
    for (Index j = 0; j < seen; ++j) keys.number.push_back(first + j);
    first += stretch.key.rows;
  }
  return keys;
}

/// The place with the smallest sum; -1 if there is none, or if it is NaN.
Index smallest(const std::vector<double>& errors) {
  Index best = -1;
  for (Index k = 0; k < std::ssize(errors); ++k) {
    const double error = errors[static_cast<std::size_t>(k)];
    const double least =
        best < 0 ? std::numeric_limits<double>::infinity() : errors[static_cast<std::size_t>(best)];
    if (error < least) best = k;
  }
  return best;
}

/// Tiles of `tile` keys counted from `origin`, up to `end`, by the error that losing one leaves.
class TileSearch {
 public:
  TileSearch(Index tile, Index origin, Index end)
      : tile_(tile), origin_(origin), errors_(static_cast<std::size_t>((end - origin) / tile), 0) {}

  void add(const Evidence& evidence, PairPlace place, const SeenKeys& keys) {
    std::vector<double> weight(errors_.size(), 0);
    Matrix<double> value =
        Matrix<double>::Zero(std::ssize(errors_), evidence.wrong.setup.query.head_dim);
    for (Index j = 0; j < std::ssize(keys.number); ++j) {
      const Index number = keys.number[static_cast<std::size_t>(j)] - origin_;
      const Index t = number / tile_;
      if (number < 0 || t >= std::ssize(errors_)) continue;
      weight[static_cast<std::size_t>(t)] += keys.weight(j);
      value.row(t) += keys.weight(j) * keys.value.row(j);
    }
    for (std::size_t t = 0; t < errors_.size(); ++t) {
      errors_[t] += error_without(evidence, place, weight[t], value.row(static_cast<Index>(t)));
    }
  }

  /// First key of the best tile; -1 if there is none.
  [[nodiscard]] Index best_begin() const {
    const Index t = smallest(errors_);
    return t < 0 ? -1 : origin_ + t * tile_;
  }
  [[nodiscard]] Index tile() const { return tile_; }

 private:
  Index tile_;
  Index origin_;
  std::vector<double> errors_;
};

/// "keys 64-127 of the passing block"
std::string keys_in_words(const Evidence& evidence, Index begin, Index end) {
  constexpr std::array<std::string_view, 3> kNames{"the anchor", "the passing block", "the block"};
  Index first = 0;
  for (std::size_t s = 0; is_prefill(evidence) && s < kNames.size(); ++s) {
    const Index keys = evidence.wrong.setup.keys[s].key.rows;
    if (begin >= first && end <= first + keys) {
      return fmt::format("keys {}-{} of {}", begin - first, end - first - 1, kNames[s]);
    }
    first += keys;
  }
  return fmt::format("keys {}-{} of all", begin, end - 1);
}

/// The stretches in which a row sees no key but the last `width`, of all that it sees or, if
/// `own_alone`, of the last stretch.
AttentionSetup window_of_row(const AttentionSetup& setup, Index row, Index width, bool own_alone) {
  AttentionSetup window = setup;
  Index left = width;
  for (std::size_t s = window.keys.size(); s-- > 0;) {
    KeyStretch& stretch = window.keys[s];
    const Index seen = seen_keys(stretch, row);
    const bool whole = own_alone && s + 1 < window.keys.size();
    const Index kept = whole ? seen : std::min(seen, left);
    stretch.key = stretch.key.slice(seen - kept, kept);
    stretch.value = stretch.value.slice(seen - kept, kept);
    stretch.visible = [](Index) { return kWhole; };
    left -= whole ? 0 : kept;
  }
  return window;
}

/// Width of the window that explains some failing pairs best; 0 if there is none. The window slides
/// over the keys from number `own_begin` on; those before it are seen as ever.
Index best_width(const Evidence& evidence, const std::vector<PairPlace>& places, Index own_begin) {
  std::vector<double> errors(static_cast<std::size_t>(count_keys(evidence.wrong.setup)), 0);
  for (const PairPlace place : places) {
    const SeenKeys keys = keys_seen(evidence, place);
    Index own = 0;  // keys that the window slides over
    for (const Index number : keys.number) own += number >= own_begin ? 1 : 0;
    double lost_weight = 0;
    Eigen::RowVectorXd lost = Eigen::RowVectorXd::Zero(keys.value.cols());
    // From the widest window down: one more key is lost at a time, the farthest first.
    for (Index width = std::ssize(errors) - 1; width >= 1; --width) {
      if (width < own) {
        const Index j = keys.weight.size() - width - 1;
        lost_weight += keys.weight(j);
        lost += keys.weight(j) * keys.value.row(j);
      }
      errors[static_cast<std::size_t>(width)] += error_without(evidence, place, lost_weight, lost);
    }
  }
  if (errors.size() < 2) return 0;
  return smallest({errors.begin() + 1, errors.end()}) + 1;
}

}  // namespace

std::vector<Variant> rank_slice_missing(const Evidence& evidence) {
  const WrongResult& wrong = evidence.wrong;
  if (passing_rows(evidence) == 0 || wrong.case_file == nullptr) return {};
  const BlockLayout layout = make_block_layout(wrong.case_file->config);
  std::vector<Variant> variants;
  Index begin = wrong.setup.anchor_rows;
  for (int lower = 0; lower < wrong.rank->rank; ++lower) {
    const Index kept = layout.ranks[static_cast<std::size_t>(lower)].num_kept;
    if (kept == 0) continue;
    variants.push_back({fmt::format(": rank {}'s {} entries", lower, kept),
                        without_keys(wrong.setup, begin, begin + kept)});
    begin += kept;
  }
  return variants;
}

std::vector<Variant> tile_missing(const Evidence& evidence) {
  const AttentionSetup& setup = evidence.wrong.setup;
  const Index all = count_keys(setup);
  std::vector<TileSearch> searches;
  for (const Index tile : kLostTiles) {
    searches.emplace_back(tile, 0, all);
    Index first = 0;
    for (const KeyStretch& stretch : setup.keys) {
      if (first % tile != 0) searches.emplace_back(tile, first, first + stretch.key.rows);
      first += stretch.key.rows;
    }
  }
  for (const PairPlace place : spread(evidence.failing, kSearchedPairs)) {
    const SeenKeys keys = keys_seen(evidence, place);
    for (TileSearch& search : searches) search.add(evidence, place, keys);
  }
  std::vector<Variant> variants;
  for (const TileSearch& search : searches) {
    const Index begin = search.best_begin();
    if (begin < 0) continue;
    variants.push_back({fmt::format(" of {}: {}", search.tile(),
                                    keys_in_words(evidence, begin, begin + search.tile())),
                        without_keys(setup, begin, begin + search.tile())});
  }
  return variants;
}

std::vector<Variant> sliding_window(const Evidence& evidence) {
  const AttentionSetup& setup = evidence.wrong.setup;
  const std::vector<PairPlace> places = spread(evidence.failing, kSearchedPairs);
  if (setup.keys.empty()) return {};
  const Index before_own = count_keys(setup) - setup.keys.back().key.rows;
  std::vector<Variant> variants;
  const auto add = [&](bool own_alone, const char* of_what) {
    const Index width = best_width(evidence, places, own_alone ? before_own : 0);
    if (width == 0) return;
    variants.push_back({fmt::format(": rows see only the last {} {}", width, of_what),
                        row_by_row([&setup, width, own_alone](Index row) {
                          return window_of_row(setup, row, width, own_alone);
                        })});
  };
  add(false, "of the keys that they should see");
  if (is_prefill(evidence) && before_own > 0) add(true, "keys of their own block");
  return variants;
}

}  // namespace apb
