// Ranks in one process on one GPU: what arrives where, and how they end when one of them fails.

#include <numeric>

#include "cuda/comm/loopback.hpp"
#include "cuda/stream.hpp"
#include "reference/core/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

TEST_CASE("cuda: loopback gathers what all ranks give, in any order of their work", "[reduced]") {
  for (const int num_ranks : {1, 2, 5}) {
    std::vector<std::vector<int>> received(static_cast<std::size_t>(num_ranks));
    cuda::run_loopback_ranks(num_ranks, [&](cuda::DeviceCommunicator& communicator) {
      const cuda::Stream stream;
      for (int round = 0; round < 3; ++round) {
        const int rank = communicator.rank();
        received[static_cast<std::size_t>(rank)] =
            communicator.all_gather_values<int>({10 * rank + round, -rank}, stream.get());
      }
      CHECK(communicator.bytes_received() == 3 * 8 * (num_ranks - 1));
      CHECK(communicator.bytes_sent() == 3 * 8 * (num_ranks - 1));
    });
    std::vector<int> expected;
    for (int rank = 0; rank < num_ranks; ++rank) {
      expected.insert(expected.end(), {10 * rank + 2, -rank});
    }
    for (const auto& its : received) CHECK(its == expected);
  }
}

TEST_CASE("cuda: loopback sends from one rank to another", "[reduced]") {
  for (const auto& [from, to] : std::vector<std::pair<int, int>>{{1, 0}, {0, 2}, {2, 1}}) {
    int found = 0;
    cuda::run_loopback_ranks(3, [&, from = from, to = to](cuda::DeviceCommunicator& communicator) {
      const cuda::Stream stream;
      const int rank = communicator.rank();
      const auto data = cuda::to_device(std::vector<int>{100 + rank}, stream.get());
      if (rank == from || rank == to) {
        communicator.send(from, to, data.data(), sizeof(int), stream.get());
      }
      (void)communicator.all_gather_values<int>({rank}, stream.get());
      if (rank == to) found = cuda::to_host(data, stream.get())[0];
    });
    CHECK(found == 100 + from);
  }
}

TEST_CASE("cuda: a rank that fails ends all, one that leaves too; nothing hangs", "[reduced]") {
  for (int failing = 0; failing < 3; ++failing) {
    CHECK(refusal([&] {
            cuda::run_loopback_ranks(3, [&](cuda::DeviceCommunicator& communicator) {
              const cuda::Stream stream;
              if (communicator.rank() == failing) throw BadInput("rank: fails");
              (void)communicator.all_gather_values<int>({1}, stream.get());
            });
          }) == "rank: fails");
    CHECK_THROWS_WITH(cuda::run_loopback_ranks(3,
                                               [&](cuda::DeviceCommunicator& communicator) {
                                                 const cuda::Stream stream;
                                                 if (communicator.rank() == failing) return;
                                                 (void)communicator.all_gather_values<int>(
                                                     {1}, stream.get());
                                               }),
                      "loopback: ranks wait for each other");
  }
}

}  // namespace
}  // namespace apb
