#include "tests/comm/exercise.hpp"

#include <array>

namespace apb {
namespace {

/// The root of a round's broadcast.
int root_of(int round, int num_ranks) {
  return round % num_ranks;
}

void append(std::vector<std::int64_t>& list, const std::vector<std::int64_t>& more) {
  list.insert(list.end(), more.begin(), more.end());
}

}  // namespace

std::size_t message_size(int round, int sender, int receiver) {
  const int mixed = round * 31 + sender * 17 + receiver * 7;
  return mixed % 3 == 0 ? 0 : static_cast<std::size_t>(mixed % 41);
}

std::vector<std::int64_t> coded_message(int round, int sender, int receiver) {
  std::vector<std::int64_t> message;
  for (std::size_t i = 0; i < message_size(round, sender, receiver); ++i) {
    message.push_back(element_code(sender, receiver, i));
  }
  return message;
}

Received exercise(int round, Communicator& communicator) {
  const int rank = communicator.rank();
  const int num_ranks = communicator.num_ranks();
  Received received;

  std::vector<std::size_t> gather_counts;
  std::vector<std::size_t> send_counts;
  std::vector<std::size_t> receive_counts;
  std::vector<std::int64_t> to_each;
  for (int other = 0; other < num_ranks; ++other) {
    gather_counts.push_back(message_size(round, other, kEverybody));
    send_counts.push_back(message_size(round, rank, other));
    receive_counts.push_back(message_size(round, other, rank));
    append(to_each, coded_message(round, rank, other));
  }
  received.gathered =
      communicator.all_gather<std::int64_t>(coded_message(round, rank, kEverybody), gather_counts);
  received.exchanged = communicator.all_to_all<std::int64_t>(to_each, send_counts, receive_counts);

  const int above = (rank + 1) % num_ranks;
  const int below = (rank + num_ranks - 1) % num_ranks;
  received.from_below = communicator.send_recv<std::int64_t>(
      above, coded_message(round, rank, above), below, message_size(round, below, rank));

  const int last = num_ranks - 1;
  if (rank == last && rank != 0) {
    (void)communicator.send_recv<std::int64_t>(0, coded_message(round, last, 0),
                                               Communicator::kNobody, 0);
  } else if (rank == 0 && last != 0) {
    received.from_last = communicator.send_recv<std::int64_t>(Communicator::kNobody, {}, last,
                                                              message_size(round, last, 0));
  }

  const int root = root_of(round, num_ranks);
  received.broadcasted.assign(message_size(round, root, kEverybody), -1);
  if (rank == root) received.broadcasted = coded_message(round, root, kEverybody);
  communicator.broadcast<std::int64_t>(root, received.broadcasted);
  return received;
}

Received expected_received(int round, int rank, int num_ranks) {
  Received expected;
  for (int sender = 0; sender < num_ranks; ++sender) {
    append(expected.gathered, coded_message(round, sender, kEverybody));
    append(expected.exchanged, coded_message(round, sender, rank));
  }
  expected.from_below = coded_message(round, (rank + num_ranks - 1) % num_ranks, rank);
  if (rank == 0 && num_ranks > 1) expected.from_last = coded_message(round, num_ranks - 1, 0);
  expected.broadcasted = coded_message(round, root_of(round, num_ranks), kEverybody);
  return expected;
}

ExpectedBytes expected_bytes(int round, int rank, int num_ranks) {
  std::size_t received = 0;
  std::size_t sent = 0;
  for (int other = 0; other < num_ranks; ++other) {
    if (other == rank) continue;
    received += message_size(round, other, kEverybody) + message_size(round, other, rank);
    sent += message_size(round, rank, kEverybody) + message_size(round, rank, other);
  }
  if (num_ranks > 1) {
    received += message_size(round, (rank + num_ranks - 1) % num_ranks, rank);
    sent += message_size(round, rank, (rank + 1) % num_ranks);
    const std::size_t last_to_first = message_size(round, num_ranks - 1, 0);
    if (rank == 0) received += last_to_first;
    if (rank == num_ranks - 1) sent += last_to_first;
  }
  const int root = root_of(round, num_ranks);
  const std::size_t broadcasted = message_size(round, root, kEverybody);
  if (rank == root) {
    sent += broadcasted * static_cast<std::size_t>(num_ranks - 1);
  } else {
    received += broadcasted;
  }
  return {static_cast<std::int64_t>(received * sizeof(std::int64_t)),
          static_cast<std::int64_t>(sent * sizeof(std::int64_t))};
}

}  // namespace apb
