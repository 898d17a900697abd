#pragma once
/// \file
/// Lengths of blocks by rank, and what a ring needs to know of stretches of them.

#include <algorithm>
#include <vector>

#include "reference/core/block_layout.hpp"

namespace apb::sim {

/// Blocks that go round a ring: in step s rank r holds the block of rank r - s.
class BlockLengths {
 public:
  explicit BlockLengths(std::vector<Index> lengths);

  [[nodiscard]] Index operator[](int rank) const {
    return lengths_[static_cast<std::size_t>(rank)];
  }
  /// Rows of the blocks that a rank holds in some steps, together.
  [[nodiscard]] Index held(int rank, const Chunk& steps) const;

  /// Calls use(length, count) for every run of equal lengths among ranks begin to end - 1.
  template <class Use>
  void each_length(Index begin, Index end, const Use& use) const {
    while (begin < end) {
      const Index run_end = std::min(end, run_end_[static_cast<std::size_t>(begin)]);
      use(lengths_[static_cast<std::size_t>(begin)], run_end - begin);
      begin = run_end;
    }
  }

 private:
  std::vector<Index> lengths_;
  std::vector<Index> rows_before_{0};  ///< of each rank and of the end
  std::vector<Index> run_end_;         ///< per rank: first one behind it with another length
};

/// Whether a ring's steps between the first and the last may be timed as one. Where blocks are
/// equal they are alike: the rank that has work in each of them has the same in each, and none has
/// more, so nobody makes it wait. Where the length does not divide, the last blocks are shorter.
/// With 32 tokens a rank that is felt by less than a third of a percent. Shorter prompts take every
/// step by itself, unless ranks are so many (the cost is their square) that one step more or less
/// is a percent at most, and a third of the time with less than a token a rank.
[[nodiscard]] bool ring_steps_alike(Index doc_len, Index num_ranks);

/// The steps of a ring, in stretches that are timed as one.
/// \param alike whether the inner steps are one; else every step is a stretch
[[nodiscard]] std::vector<Chunk> ring_stretches(Index num_ranks, bool alike);

}  // namespace apb::sim
