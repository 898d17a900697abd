#include "sim/methods/block_lengths.hpp"

namespace apb::sim {

BlockLengths::BlockLengths(std::vector<Index> lengths) : lengths_(std::move(lengths)) {
  for (const Index length : lengths_) rows_before_.push_back(rows_before_.back() + length);
  run_end_.resize(lengths_.size());
  for (std::size_t rank = lengths_.size(); rank-- > 0;) {
    const bool goes_on = rank + 1 < lengths_.size() && lengths_[rank] == lengths_[rank + 1];
    run_end_[rank] = goes_on ? run_end_[rank + 1] : static_cast<Index>(rank + 1);
  }
}

Index BlockLengths::held(int rank, const Chunk& steps) const {
  const auto num_ranks = static_cast<Index>(lengths_.size());
  // Blocks rank - end + 1 to rank - begin, round the ring.
  const auto before = [&](Index block) {
    const Index rounds = block < 0 ? -1 : 0;
    return rounds * rows_before_.back() +
           rows_before_[static_cast<std::size_t>(block - rounds * num_ranks)];
  };
  return before(rank - steps.begin + 1) - before(rank - steps.end + 1);
}

bool ring_steps_alike(Index doc_len, Index num_ranks) {
  constexpr Index kEnoughRows = 32;
  constexpr Index kManyRanks = 256;
  return doc_len >= kEnoughRows * num_ranks || num_ranks > kManyRanks;
}

std::vector<Chunk> ring_stretches(Index num_ranks, bool alike) {
  std::vector<Chunk> stretches{{0, 1}};
  Index step = 1;
  while (step < num_ranks) {
    const bool inner = step < num_ranks - 1;
    const Index end = inner && alike ? num_ranks - 1 : step + 1;
    stretches.push_back({step, end});
    step = end;
  }
  return stretches;
}

}  // namespace apb::sim
