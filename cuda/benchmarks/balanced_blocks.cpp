#include "cuda/benchmarks/balanced_blocks.hpp"

#include <algorithm>
#include <numeric>

namespace apb::cuda {
namespace {

/// Time of one rank as its block's length varies.
class RankTime {
 public:
  RankTime(const ApbConfig& config, Index rank, Index block_len, const RankCost& measured)
      : anchor_rows_(rank == 0 ? 0 : config.anchor_len + config.embedded_query_len),
        passing_(rank * config.num_kept) {
    row_s_ = measured.rows_s / static_cast<double>(anchor_rows_ + block_len);
    pair_s_ = measured.attention_s / pairs(block_len);
  }

  [[nodiscard]] double of(Index block_len) const {
    return row_s_ * static_cast<double>(anchor_rows_ + block_len) + pair_s_ * pairs(block_len);
  }

  /// The longest block that takes at most `seconds`; at least `least`.
  [[nodiscard]] Index longest(double seconds, Index least, Index most) const {
    while (least < most) {
      const Index middle = least + (most - least + 1) / 2;
      if (of(middle) <= seconds) {
        least = middle;
      } else {
        most = middle - 1;
      }
    }
    return least;
  }

 private:
  [[nodiscard]] double pairs(Index block_len) const {
    const auto a = static_cast<double>(anchor_rows_), b = static_cast<double>(block_len);
    return a * (a + 1) / 2 + b * (a + static_cast<double>(passing_)) + b * (b + 1) / 2;
  }

  Index anchor_rows_, passing_;
  double row_s_ = 0, pair_s_ = 0;
};

}  // namespace

std::vector<Index> balanced_block_lens(const ApbConfig& config,
                                       const std::vector<RankCost>& measured) {
  const std::vector<Index> given = config.resolved_block_lens();
  std::vector<RankTime> ranks;
  double most_s = 0;
  for (Index rank = 0; rank < std::ssize(given); ++rank) {
    const auto at = static_cast<std::size_t>(rank);
    ranks.emplace_back(config, rank, given[at], measured[at]);
    most_s = std::max(most_s, ranks.back().of(config.doc_len));
  }
  const auto lens_within = [&](double seconds) {
    std::vector<Index> lens;
    for (const RankTime& rank : ranks) {
      lens.push_back(rank.longest(seconds, config.num_kept, config.doc_len));
    }
    return lens;
  };
  const auto total = [](const std::vector<Index>& lens) {
    return std::accumulate(lens.begin(), lens.end(), Index{0});
  };
  double enough_s = most_s, too_little_s = 0;
  for (int step = 0; step < 60; ++step) {
    const double middle = (enough_s + too_little_s) / 2;
    (total(lens_within(middle)) >= config.doc_len ? enough_s : too_little_s) = middle;
  }
  std::vector<Index> lens = lens_within(enough_s);
  // A few tokens too many, from the longest block.
  *std::max_element(lens.begin(), lens.end()) -= total(lens) - config.doc_len;
  return lens;
}

}  // namespace apb::cuda
