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

/// The steps of a ring, in stretches that are timed as one. Where blocks are equal, all steps but
/// the first and the last are alike: the rank that has work in each of them has the same in each,
/// and none has more, so nobody makes it wait. Where the length does not divide, the last blocks
/// are shorter, and this is right to about that (a test says 1 %); a prompt of a few tokens a rank
/// is timed roughly. \param alike whether that may be used; else every step is a stretch
[[nodiscard]] std::vector<Chunk> ring_stretches(Index num_ranks, bool alike);

}  // namespace apb::sim
