// Messages that are too long for one MPI call, which counts in int: all calls of the communicator
// with pieces of a few bytes, so that short messages are long ones.
//
// Run as `mpiexec -n N long_messages MOST_BYTES_AT_ONCE MESSAGE_BYTES`. With a limit of 1073741824
// and messages of 2362232012 bytes it does what a run of a million tokens does (by hand: it takes
// that memory three times over on each rank). All processes exit alike: 0 if all arrived, else 1.

#include <fmt/format.h>

#include <cstdlib>
#include <exception>

#include "reference/comm/mpi_communicator.hpp"
#include "tests/comm/exercise.hpp"

namespace apb {
namespace {

/// A byte that names its sender and its place.
char letter(int sender, std::size_t index) {
  return static_cast<char>(index * 131 + index / 251 + static_cast<std::size_t>(sender) * 17);
}

std::vector<char> message(int sender, std::size_t bytes) {
  std::vector<char> letters(bytes);
  for (std::size_t i = 0; i < bytes; ++i) letters[i] = letter(sender, i);
  return letters;
}

/// Whether letters [begin, begin + bytes) are a sender's message.
bool is_message(const std::vector<char>& letters, std::size_t begin, int sender,
                std::size_t bytes) {
  if (letters.size() < begin + bytes) return false;
  for (std::size_t i = 0; i < bytes; ++i) {
    if (letters[begin + i] != letter(sender, i)) return false;
  }
  return true;
}

int count_wrong(Communicator& world, std::size_t bytes) {
  const int rank = world.rank();
  const int ranks = world.num_ranks();
  int wrong = 0;
  for (int round = 0; round < 40; ++round) {
    wrong += exercise(round, world) == expected_received(round, rank, ranks) ? 0 : 1;
  }
  const int above = (rank + 1) % ranks;
  const int below = (rank + ranks - 1) % ranks;
  std::vector<char> own = message(rank, bytes);
  wrong += is_message(world.send_recv<char>(above, own, below, bytes), 0, below, bytes) ? 0 : 1;
  // Only from the rank below, so that no rank holds more than one long message more.
  std::vector<std::size_t> counts(static_cast<std::size_t>(ranks), 0);
  std::vector<std::size_t> from(static_cast<std::size_t>(ranks), 0);
  counts[static_cast<std::size_t>(above)] = bytes;
  from[static_cast<std::size_t>(below)] = bytes;
  wrong += is_message(world.all_to_all<char>(own, counts, from), 0, below, bytes) ? 0 : 1;
  const std::vector<std::size_t> halves(static_cast<std::size_t>(ranks), bytes / 2);
  const auto gathered = world.all_gather<char>(std::span(own).first(bytes / 2), halves);
  for (int sender = 0; sender < ranks; ++sender) {
    const std::size_t begin = bytes / 2 * static_cast<std::size_t>(sender);
    wrong += is_message(gathered, begin, sender, bytes / 2) ? 0 : 1;
  }
  world.broadcast<char>(ranks - 1, own);
  wrong += is_message(own, 0, ranks - 1, bytes) ? 0 : 1;
  return wrong;
}

int run(Communicator& world, std::size_t bytes) {
  const int own = count_wrong(world, bytes);
  const std::vector<std::size_t> one_each(static_cast<std::size_t>(world.num_ranks()), 1);
  int wrong = 0;
  for (const int others : world.all_gather<int>({&own, 1}, one_each)) wrong += others;
  if (world.rank() == 0) {
    fmt::print("long_messages: {} ranks, {} bytes, {} wrong\n", world.num_ranks(), bytes, wrong);
  }
  return wrong == 0 ? 0 : 1;
}

}  // namespace
}  // namespace apb

int main(int argc, char** argv) {
  if (argc != 3) {
    fmt::print(stderr, "usage: long_messages MOST_BYTES_AT_ONCE MESSAGE_BYTES\n");
    return 2;
  }
  apb::MpiSession session(std::atoi(argv[1]));
  try {
    return apb::run(session.world(), std::strtoull(argv[2], nullptr, 10));
  } catch (const std::exception& error) {
    fmt::print(stderr, "rank {}: {}\n", session.world().rank(), error.what());
    session.abort(3);
  }
}
