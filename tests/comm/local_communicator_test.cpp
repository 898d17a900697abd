// All ranks in one process: what arrives is what was sent, byte counts, failures that end the run.

#include "reference/comm/local_communicator.hpp"

#include <array>
#include <atomic>
#include <numeric>
#include <stdexcept>

#include "reference/comm/run_ranks.hpp"
#include "reference/core/parallel_for.hpp"
#include "tests/comm/exercise.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/local_ranks.hpp"
#include "tests/support/room_for_threads.hpp"

namespace apb {
namespace {

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

TEST_CASE("every element arrives where it should, in order", "[comm]") {
  const int num_ranks = GENERATE(1, 2, 3, 5, 8);
  struct Outcome {
    int wrong_rounds = 0;
    std::int64_t wrong_bytes = 0;
  };
  const auto outcomes = on_local_ranks(num_ranks, [](Communicator& communicator) {
    Outcome outcome;
    const int rank = communicator.rank();
    const int ranks = communicator.num_ranks();
    std::int64_t received = 0;
    std::int64_t sent = 0;
    for (int round = 0; round < 50; ++round) {
      if (exercise(round, communicator) != expected_received(round, rank, ranks)) {
        ++outcome.wrong_rounds;
      }
      const auto [more_received, more_sent] = expected_bytes(round, rank, ranks);
      received += more_received;
      sent += more_sent;
    }
    outcome.wrong_bytes = std::abs(communicator.bytes_received() - received) +
                          std::abs(communicator.bytes_sent() - sent);
    return outcome;
  });
  for (const auto& [wrong_rounds, wrong_bytes] : outcomes) {
    CHECK(wrong_rounds == 0);
    CHECK(wrong_bytes == 0);
  }
}

TEST_CASE("the exercise covers empty and full messages", "[comm]") {
  std::size_t empty = 0;
  std::size_t full = 0;
  for (int round = 0; round < 50; ++round) {
    for (int sender = 0; sender < 8; ++sender) {
      ++(message_size(round, sender, kEverybody) == 0 ? empty : full);
    }
  }
  CHECK(empty > 50);
  CHECK(full > 50);
}

TEST_CASE("ranks know their number and start with the threads asked for", "[comm]") {
  std::vector<int> threads(3);
  run_local_ranks(3, 2, [&](Communicator& communicator) {
    if (communicator.num_ranks() != 3) throw Failure("num_ranks");
    threads[static_cast<std::size_t>(communicator.rank())] = num_threads();
  });
  CHECK(threads == std::vector<int>{2, 2, 2});
}

TEST_CASE("elements of any size", "[comm]") {
  struct Wide {
    std::array<double, 5> values;
  };
  const auto sums = on_local_ranks(3, [](Communicator& communicator) {
    const auto rank = static_cast<double>(communicator.rank());
    const std::vector<Wide> mine(2, Wide{{rank, 1, 2, 3, 4}});
    const auto all = communicator.all_gather<Wide>(mine, std::vector<std::size_t>{2, 2, 2});
    const auto byte =
        communicator.all_gather<char>(std::vector<char>{'a'}, std::vector<std::size_t>{1, 1, 1});
    return std::accumulate(
        all.begin(), all.end(), static_cast<double>(byte.size()),
        [](double sum, const Wide& wide) { return sum + wide.values[0] + wide.values[4]; });
  });
  CHECK(sums == std::vector<double>(3, 3 + 2 * (0 + 1 + 2) + 6 * 4));
}

TEST_CASE("a rank that fails wakes the others, and its exception arrives", "[comm]") {
  const int failing = GENERATE(0, 1, 3);
  std::atomic<int> ended = 0;
  const auto wait_for_the_dead = [&](Communicator& communicator) {
    if (communicator.rank() == failing) throw Failure("rank gave up");
    try {
      for (int round = 0; round < 3; ++round) (void)exercise(round, communicator);
    } catch (...) {
      ++ended;
      throw;
    }
  };
  CHECK_THROWS_AS(run_local_ranks(4, 1, wait_for_the_dead), Failure);
  CHECK(ended == 3);
}

TEST_CASE("a rank that fails late, after messages have gone round", "[comm]") {
  const auto fail_late = [](Communicator& communicator) {
    for (int round = 0; round < 20; ++round) {
      (void)exercise(round, communicator);
      if (round == 10 && communicator.rank() == 2) throw Failure("late");
    }
  };
  CHECK_THROWS_WITH(run_local_ranks(4, 1, fail_late), "late");
  CHECK_NOTHROW(run_local_ranks(2, 1, fail_late));  // a new run starts afresh
}

TEST_CASE("a rank whose thread cannot start ends the run", "[comm]") {
  std::atomic<int> begun = 0;
  const auto wait_for_all = [&](Communicator& communicator) {
    ++begun;
    for (int round = 0; round < 3; ++round) (void)exercise(round, communicator);
  };
  {
    const RoomForThreads room(2);
    CHECK_THROWS_AS(run_local_ranks(8, 1, wait_for_all), CannotRun);
  }
  CHECK(begun <= 2);
  CHECK_NOTHROW(run_local_ranks(8, 1, wait_for_all));
}

TEST_CASE("no ranks at all are refused", "[comm]") {
  const RunEnding ending;
  const auto right = [](const RankEnvironment&) { return ExitStatus::kRight; };
  for (const int ranks : {0, -1}) {
    CHECK_THROWS_AS(run_local_ranks(ranks, 1, [](Communicator&) {}), BadInput);
    CHECK_THROWS_AS(run_ranks(Transport::kLocal, ranks, ending, right), BadInput);
  }
}

TEST_CASE("calls that cannot be are refused", "[comm]") {
  const auto run = [](const auto& call) { run_local_ranks(2, 1, call); };
  const std::vector<std::int64_t> three(3);
  using Counts = std::vector<std::size_t>;
  CHECK_THROWS_AS(run([&](Communicator& c) { (void)c.all_gather<std::int64_t>(three, Counts{3}); }),
                  std::invalid_argument);
  CHECK_THROWS_AS(run([&](Communicator& c) {
                    (void)c.all_gather<std::int64_t>(three, Counts{2, 2});
                  }),
                  std::invalid_argument);
  CHECK_THROWS_AS(run([&](Communicator& c) {
                    (void)c.all_to_all<std::int64_t>(three, Counts{1, 1}, Counts{1, 1});
                  }),
                  std::invalid_argument);
  CHECK_THROWS_AS(run([&](Communicator& c) { (void)c.send_recv<std::int64_t>(2, three, 0, 3); }),
                  std::invalid_argument);
  CHECK_THROWS_AS(run([&](Communicator& c) {
                    std::vector<std::int64_t> data(1);
                    c.broadcast<std::int64_t>(-1, data);
                  }),
                  std::invalid_argument);
  // Sizes that two ranks disagree on are a mistake in the program, not a hang.
  CHECK_THROWS_AS(run([&](Communicator& c) {
                    std::vector<std::int64_t> data(c.rank() == 0 ? 2 : 3);
                    c.broadcast<std::int64_t>(0, data);
                  }),
                  std::logic_error);
}

TEST_CASE("run_ranks in this process: rank 0's status, or what a rank threw", "[comm]") {
  const RunEnding ending;
  std::atomic<int> calls = 0;
  const auto only_rank_0_fails_a_check = [&](const RankEnvironment& environment) {
    ++calls;
    const bool first = environment.communicator.rank() == 0;
    return first ? ExitStatus::kCheckFailed : ExitStatus::kRight;
  };
  CHECK(run_ranks(Transport::kLocal, 3, ending, only_rank_0_fails_a_check) ==
        ExitStatus::kCheckFailed);
  CHECK(calls == 3);
  const auto rank_1_throws = [](const RankEnvironment& environment) {
    if (environment.communicator.rank() == 1) throw BadInput("rank 1 says no");
    (void)exercise(0, environment.communicator);
    return ExitStatus::kRight;
  };
  CHECK_THROWS_AS(run_ranks(Transport::kLocal, 3, ending, rank_1_throws), BadInput);
}

TEST_CASE("threads of a rank: cores shared among the ranks that compute, at least one", "[comm]") {
  run_local_ranks(1, 1, [](Communicator& communicator) {
    const RankEnvironment environment{communicator, 4, 16};
    CHECK(environment.threads(4) == 4);
    CHECK(environment.threads(1) == 16);
    CHECK(environment.threads(0) == 16);
    CHECK(environment.threads(64) == 4);  // only 4 of them are on this machine
    CHECK(RankEnvironment{communicator, 32, 2}.threads(32) == 1);
    // Each of 4 ranks was given a quarter of the cores, or OMP_NUM_THREADS, to itself.
    CHECK(RankEnvironment{communicator, 4, 16, 4}.threads(1) == 4);
    CHECK(RankEnvironment{communicator, 4, 16, 2}.threads(4) == 2);
  });
}

TEST_CASE("stress: 8 ranks, 200 rounds, several runs in a row", "[comm]") {
  for (int repeat = 0; repeat < 3; ++repeat) {
    const auto wrong = on_local_ranks(8, [](Communicator& communicator) {
      int wrong_rounds = 0;
      for (int round = 0; round < 200; ++round) {
        if (exercise(round, communicator) != expected_received(round, communicator.rank(), 8)) {
          ++wrong_rounds;
        }
      }
      return wrong_rounds;
    });
    CHECK(wrong == std::vector<int>(8, 0));
  }
}

}  // namespace
}  // namespace apb
