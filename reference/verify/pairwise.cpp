#include "reference/verify/pairwise.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace apb {
namespace {

/// A level of a factor.
using Choice = std::pair<std::size_t, std::size_t>;

/// The lower factor first.
std::pair<Choice, Choice> in_order(Choice a, Choice b) {
  return a < b ? std::pair{a, b} : std::pair{b, a};
}

class Cover {
 public:
  explicit Cover(const std::vector<std::size_t>& counts) : counts_(counts) {
    for (std::size_t f = 0; f < counts.size(); ++f) {
      times_used_.emplace_back(counts[f], 0);
      for (std::size_t g = f + 1; g < counts.size(); ++g) {
        for (std::size_t a = 0; a < counts[f]; ++a) {
          for (std::size_t b = 0; b < counts[g]; ++b) missing_.insert({{f, a}, {g, b}});
        }
      }
    }
  }

  [[nodiscard]] bool complete() const { return missing_.empty(); }

  /// Holds the first missing pair, and as many others as a choice factor by factor finds.
  LevelRow next_row() {
    const auto [first, second] = *missing_.begin();
    row_.assign(counts_.size(), std::nullopt);
    row_[first.first] = first.second;
    row_[second.first] = second.second;
    for (std::size_t f = 0; f < counts_.size(); ++f) {
      if (!row_[f]) row_[f] = best_level(f);
    }
    LevelRow levels;
    for (std::size_t f = 0; f < counts_.size(); ++f) {
      levels.push_back(*row_[f]);
      ++times_used_[f][*row_[f]];
      for (std::size_t g = 0; g < f; ++g) missing_.erase({{g, *row_[g]}, {f, *row_[f]}});
    }
    return levels;
  }

 private:
  /// Most missing pairs with what is chosen; of equal ones that which was used least.
  [[nodiscard]] std::size_t best_level(std::size_t f) const {
    const auto gain = [&](std::size_t level) {
      long pairs = 0;
      for (std::size_t g = 0; g < counts_.size(); ++g) {
        if (row_[g] && missing_.contains(in_order({f, level}, {g, *row_[g]}))) ++pairs;
      }
      return std::pair{pairs, -times_used_[f][level]};
    };
    std::size_t best = 0;
    for (std::size_t level = 1; level < counts_[f]; ++level) {
      if (gain(level) > gain(best)) best = level;
    }
    return best;
  }

  std::vector<std::size_t> counts_;
  std::set<std::pair<Choice, Choice>> missing_;
  std::vector<std::vector<long>> times_used_;
  std::vector<std::optional<std::size_t>> row_;
};

}  // namespace

std::vector<LevelRow> pairwise_rows(const std::vector<std::size_t>& level_counts) {
  std::vector<LevelRow> rows;
  for (Cover cover(level_counts); !cover.complete();) rows.push_back(cover.next_row());
  return rows;
}

}  // namespace apb
