#include "tests/comm/outcome.hpp"

#include <algorithm>

namespace apb {
namespace {

/// Every rank gets its own of the lists that rank 0 has. Collective.
template <class T>
std::vector<T> scatter_from_rank_0(const std::vector<std::vector<T>>& all, Communicator& world) {
  const auto num_ranks = static_cast<std::size_t>(world.num_ranks());
  std::vector<std::size_t> counts(num_ranks);
  std::vector<T> joined;
  for (std::size_t rank = 0; rank < all.size(); ++rank) {
    counts[rank] = all[rank].size();
    joined.insert(joined.end(), all[rank].begin(), all[rank].end());
  }
  world.broadcast<std::size_t>(0, counts);
  std::vector<std::size_t> received(num_ranks);
  received[0] = counts[static_cast<std::size_t>(world.rank())];
  if (world.rank() != 0) counts.assign(num_ranks, 0);
  return world.all_to_all<T>(joined, counts, received);
}

}  // namespace

bool Outcome::same(std::size_t i, const Outcome& other) const {
  return i < size() && i < other.size() && std::ranges::equal(bytes_of(i), other.bytes_of(i));
}

Outcome Outcome::from_rank_0(const std::vector<Outcome>& all, Communicator& world) {
  std::vector<std::vector<std::size_t>> ends;
  std::vector<std::vector<std::byte>> bytes;
  for (const Outcome& outcome : all) {
    ends.push_back(outcome.ends_);
    bytes.push_back(outcome.bytes_);
  }
  Outcome own;
  own.ends_ = scatter_from_rank_0(ends, world);
  own.bytes_ = scatter_from_rank_0(bytes, world);
  return own;
}

std::span<const std::byte> Outcome::bytes_of(std::size_t i) const {
  const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
  return std::span(bytes_).subspan(begin, ends_[i] - begin);
}

}  // namespace apb
