#pragma once
/// \file
/// Every call of a Communicator with elements that say where they come from. The result can be
/// checked (local_communicator_test.cpp) or compared with another communicator's
/// (mpi_equals_local.cpp).

#include <cstdint>
#include <vector>

#include "reference/core/communicator.hpp"

namespace apb {

/// An element that names its sender, its receiver and its place in the message.
[[nodiscard]] constexpr std::int64_t element_code(int sender, int receiver, std::size_t index) {
  return (static_cast<std::int64_t>(sender) * 1000 + receiver) * 100000 +
         static_cast<std::int64_t>(index);
}

/// Receiver in element_code of what goes to everybody.
inline constexpr int kEverybody = 999;

/// Elements that `sender` sends to `receiver` in a round: 0 quite often, at most 40.
[[nodiscard]] std::size_t message_size(int round, int sender, int receiver);

/// `message_size` elements of element_code.
[[nodiscard]] std::vector<std::int64_t> coded_message(int round, int sender, int receiver);

/// What one rank received in one round of all four calls.
struct Received {
  std::vector<std::int64_t> gathered;
  std::vector<std::int64_t> exchanged;   ///< all_to_all
  std::vector<std::int64_t> from_below;  ///< send_recv around the ring
  std::vector<std::int64_t> from_last;   ///< send_recv from the last rank to rank 0 only
  std::vector<std::int64_t> broadcasted;

  friend bool operator==(const Received&, const Received&) = default;
};

/// Calls everything once. Collective.
[[nodiscard]] Received exercise(int round, Communicator& communicator);

/// What exercise() must return, and the bytes it must count.
[[nodiscard]] Received expected_received(int round, int rank, int num_ranks);
struct ExpectedBytes {
  std::int64_t received = 0;
  std::int64_t sent = 0;
};
[[nodiscard]] ExpectedBytes expected_bytes(int round, int rank, int num_ranks);

}  // namespace apb
