#include "reference/core/communicator.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace apb {
namespace {

/// Bytes of each rank; the lists must have one count a rank.
std::vector<std::size_t> byte_sizes(std::span<const std::size_t> counts, std::size_t element_size,
                                    int num_ranks) {
  if (std::ssize(counts) != num_ranks) {
    throw std::invalid_argument("Communicator: one count per rank is needed");
  }
  std::vector<std::size_t> sizes;
  for (const std::size_t count : counts) sizes.push_back(count * element_size);
  return sizes;
}

void require(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

}  // namespace

std::size_t total_count(std::span<const std::size_t> counts) {
  return std::accumulate(counts.begin(), counts.end(), std::size_t{0});
}

int RankEnvironment::threads(int active_ranks) const {
  const int share = cores / std::clamp(active_ranks, 1, ranks_on_node);
  return std::max(1, std::min(share, most_threads));
}

void Communicator::checked_all_gather(Bytes mine, MutableBytes all,
                                      std::span<const std::size_t> counts,
                                      std::size_t element_size) {
  const auto sizes = byte_sizes(counts, element_size, num_ranks());
  require(mine.size() == sizes[static_cast<std::size_t>(rank())],
          "all_gather: own elements differ from own count");
  do_all_gather(mine, all, sizes);
  bytes_received_ += static_cast<std::int64_t>(all.size() - mine.size());
  bytes_sent_ += static_cast<std::int64_t>(mine.size()) * (num_ranks() - 1);
}

void Communicator::checked_all_to_all(Bytes mine, std::span<const std::size_t> send_counts,
                                      MutableBytes received,
                                      std::span<const std::size_t> receive_counts,
                                      std::size_t element_size) {
  const auto send_sizes = byte_sizes(send_counts, element_size, num_ranks());
  const auto receive_sizes = byte_sizes(receive_counts, element_size, num_ranks());
  const auto self = static_cast<std::size_t>(rank());
  require(mine.size() == total_count(send_sizes), "all_to_all: elements differ from counts");
  require(send_sizes[self] == receive_sizes[self], "all_to_all: own counts differ");
  do_all_to_all(mine, send_sizes, received, receive_sizes);
  bytes_received_ += static_cast<std::int64_t>(received.size() - receive_sizes[self]);
  bytes_sent_ += static_cast<std::int64_t>(mine.size() - send_sizes[self]);
}

void Communicator::checked_send_recv(int to, Bytes mine, int from, MutableBytes received) {
  require(to >= kNobody && to < num_ranks() && from >= kNobody && from < num_ranks(),
          "send_recv: no such rank");
  do_send_recv(to, mine, from, received);
  if (to != kNobody && to != rank()) bytes_sent_ += static_cast<std::int64_t>(mine.size());
  if (from != rank()) bytes_received_ += static_cast<std::int64_t>(received.size());
}

void Communicator::checked_broadcast(int root, MutableBytes data) {
  require(root >= 0 && root < num_ranks(), "broadcast: no such rank");
  do_broadcast(root, data);
  const auto size = static_cast<std::int64_t>(data.size());
  if (rank() == root) {
    bytes_sent_ += size * (num_ranks() - 1);
  } else {
    bytes_received_ += size;
  }
}

}  // namespace apb
