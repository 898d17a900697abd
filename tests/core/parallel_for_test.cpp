// Loops shared among threads: every index once, exceptions arrive, threads that cannot start.

#include "reference/core/parallel_for.hpp"

#include <atomic>
#include <chrono>
#include <mutex>
#include <new>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "reference/core/available_cores.hpp"
#include "reference/core/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/room_for_threads.hpp"

namespace apb {
namespace {

/// Runs a test in a thread of its own, which has no helpers yet.
template <class Test>
void in_new_thread(const Test& test) {
  std::jthread(test).join();
}

TEST_CASE("parallel_for: every index once", "[parallel]") {
  in_new_thread([] {
    CHECK(num_threads() == available_cores());
    for (const int threads : {1, 2, 5, 3}) {
      set_num_threads(threads);
      CHECK(num_threads() == threads);
      for (const Index count : {0, 1, 2, 3, 1000}) {
        std::vector<std::atomic<int>> calls(static_cast<std::size_t>(count));
        parallel_for(count, [&](Index i) { ++calls[static_cast<std::size_t>(i)]; });
        Index wrong = 0;
        for (const auto& n : calls) wrong += n == 1 ? 0 : 1;
        CHECK(wrong == 0);
      }
    }
  });
}

TEST_CASE("parallel_for: as many threads as asked for work at the same time", "[parallel]") {
  in_new_thread([] {
    set_num_threads(3);
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::mutex mutex;
      std::set<std::thread::id> ids;
      std::atomic<int> begun = 0;
      // Each index waits until all three have begun.
      parallel_for(3, [&](Index /*i*/) {
        ++begun;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (begun < 3 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
        const std::scoped_lock lock(mutex);
        ids.insert(std::this_thread::get_id());
      });
      CHECK(ids.size() == 3);
    }
  });
}

TEST_CASE("parallel_for_with: each thread works in a room of its own", "[parallel]") {
  in_new_thread([] {
    set_num_threads(4);
    std::atomic<int> rooms = 0;
    std::atomic<Index> sum = 0;
    for (int repeat = 0; repeat < 50; ++repeat) {
      rooms = 0;
      sum = 0;
      parallel_for_with(100, [&] {
        ++rooms;
        return [&, used = false](Index i) mutable {
          if (used) throw std::logic_error("two threads in one room");
          used = true;
          sum += i;
          used = false;
        };
      });
      CHECK(sum == 4950);
      CHECK((rooms >= 1 && rooms <= 4));
    }
  });
}

TEST_CASE("parallel_for: an exception ends the loop and arrives", "[parallel]") {
  in_new_thread([] {
    for (const int threads : {1, 2, 4}) {
      set_num_threads(threads);
      std::atomic<Index> calls = 0;
      const auto fail_at_10 = [&](Index i) {
        ++calls;
        if (i >= 10) throw std::out_of_range("ten");
      };
      CHECK_THROWS_AS(parallel_for(100000, fail_at_10), std::out_of_range);
      CHECK(calls <= 10 + threads);
      CHECK_THROWS_AS(parallel_for(50, [](Index) { throw std::bad_alloc(); }), std::bad_alloc);
      const auto no_room = []() -> std::function<void(Index)> { throw std::bad_alloc(); };
      CHECK_THROWS_AS(parallel_for_with(50, no_room), std::bad_alloc);
      calls = 0;
      parallel_for(100, [&](Index) { ++calls; });  // as if nothing had been
      CHECK(calls == 100);
    }
  });
}

TEST_CASE("parallel_for inside parallel_for", "[parallel]") {
  in_new_thread([] {
    set_num_threads(3);
    std::atomic<Index> calls = 0;
    parallel_for(7, [&](Index) { parallel_for(11, [&](Index) { ++calls; }); });
    CHECK(calls == 77);
  });
}

TEST_CASE("parallel_for: a thread that cannot start is an error", "[parallel]") {
  in_new_thread([] {
    set_num_threads(8);
    std::atomic<Index> calls = 0;
    {
      const RoomForThreads room(2);
      CHECK_THROWS_AS(parallel_for(100, [&](Index) { ++calls; }), CannotRun);
    }
    CHECK(calls == 0);
    parallel_for(100, [&](Index) { ++calls; });
    CHECK(calls == 100);
  });
}

}  // namespace
}  // namespace apb
