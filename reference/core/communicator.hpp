#pragma once
/// \file
/// What ranks need from each other. A method is written once against this interface and runs with
/// all ranks in one process (local_communicator) or with one process a rank (mpi_communicator).
///
/// Every call is collective unless said otherwise: all ranks make the same calls in the same order.
/// Sizes are known to every rank beforehand (from the block layout) and never sent.

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

namespace apb {

class Communicator {
 public:
  /// Partner of send_recv when there is nobody to send to or to receive from.
  static constexpr int kNobody = -1;

  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;
  Communicator(Communicator&&) = delete;
  Communicator& operator=(Communicator&&) = delete;
  virtual ~Communicator() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int num_ranks() const = 0;

  /// Every rank receives every rank's elements, ranks ascending.
  /// \param mine   this rank's elements; its size is counts[rank()]
  /// \param counts elements of each rank
  /// \returns sum(counts) elements
  template <class T>
  [[nodiscard]] std::vector<T> all_gather(std::span<const T> mine,
                                          std::span<const std::size_t> counts);

  /// Rank r receives the part that every rank holds for r, senders ascending.
  /// \param mine           parts for rank 0, 1, …, one after the other
  /// \param send_counts    elements for each rank
  /// \param receive_counts elements from each rank
  template <class T>
  [[nodiscard]] std::vector<T> all_to_all(std::span<const T> mine,
                                          std::span<const std::size_t> send_counts,
                                          std::span<const std::size_t> receive_counts);

  /// Sends to one rank and receives from another at the same time (ring step, neighbour exchange).
  /// Not collective: only ranks with a partner need to call it.
  /// \param to,from       partners, or kNobody
  /// \param receive_count elements that come from `from`
  template <class T>
  [[nodiscard]] std::vector<T> send_recv(int to, std::span<const T> mine, int from,
                                         std::size_t receive_count);

  /// Root's elements overwrite everybody's; all spans have the same size.
  template <class T>
  void broadcast(int root, std::span<T> data);

  /// Payload received and sent by this rank so far (one copy per receiver).
  [[nodiscard]] std::int64_t bytes_received() const { return bytes_received_; }
  [[nodiscard]] std::int64_t bytes_sent() const { return bytes_sent_; }

 protected:
  using Bytes = std::span<const std::byte>;
  using MutableBytes = std::span<std::byte>;
  using Sizes = std::span<const std::size_t>;  ///< bytes per rank

  virtual void do_all_gather(Bytes mine, MutableBytes all, Sizes sizes) = 0;
  virtual void do_all_to_all(Bytes mine, Sizes send_sizes, MutableBytes received,
                             Sizes receive_sizes) = 0;
  virtual void do_send_recv(int to, Bytes mine, int from, MutableBytes received) = 0;
  virtual void do_broadcast(int root, MutableBytes data) = 0;

 private:
  void checked_all_gather(Bytes mine, MutableBytes all, std::span<const std::size_t> counts,
                          std::size_t element_size);
  void checked_all_to_all(Bytes mine, std::span<const std::size_t> send_counts,
                          MutableBytes received, std::span<const std::size_t> receive_counts,
                          std::size_t element_size);
  void checked_send_recv(int to, Bytes mine, int from, MutableBytes received);
  void checked_broadcast(int root, MutableBytes data);

  std::int64_t bytes_received_ = 0;
  std::int64_t bytes_sent_ = 0;
};

/// What a rank finds itself in.
struct RankEnvironment {
  Communicator& communicator;
  int ranks_on_node = 1;     ///< ranks that share this machine's cores
  int cores = 1;             ///< of this machine, that these ranks may keep busy together
  int most_threads = cores;  ///< that this rank may run: it may have been given a part of the cores

  /// Threads a rank should use while `active_ranks` ranks of the run compute: cores / ranks, at
  /// least one.
  [[nodiscard]] int threads(int active_ranks) const;
};

/// Sum of counts.
[[nodiscard]] std::size_t total_count(std::span<const std::size_t> counts);

template <class T>
std::vector<T> Communicator::all_gather(std::span<const T> mine,
                                        std::span<const std::size_t> counts) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> all(total_count(counts));
  checked_all_gather(std::as_bytes(mine), std::as_writable_bytes(std::span(all)), counts,
                     sizeof(T));
  return all;
}

template <class T>
std::vector<T> Communicator::all_to_all(std::span<const T> mine,
                                        std::span<const std::size_t> send_counts,
                                        std::span<const std::size_t> receive_counts) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> received(total_count(receive_counts));
  checked_all_to_all(std::as_bytes(mine), send_counts, std::as_writable_bytes(std::span(received)),
                     receive_counts, sizeof(T));
  return received;
}

template <class T>
std::vector<T> Communicator::send_recv(int to, std::span<const T> mine, int from,
                                       std::size_t receive_count) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::vector<T> received(from == kNobody ? 0 : receive_count);
  checked_send_recv(to, std::as_bytes(mine), from, std::as_writable_bytes(std::span(received)));
  return received;
}

template <class T>
void Communicator::broadcast(int root, std::span<T> data) {
  static_assert(std::is_trivially_copyable_v<T>);
  checked_broadcast(root, std::as_writable_bytes(data));
}

}  // namespace apb
