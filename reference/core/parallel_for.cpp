#include "reference/core/parallel_for.hpp"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "reference/core/available_cores.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

/// Whether this thread is at work on a loop: a loop inside it gets no threads of its own.
thread_local bool inside_loop = false;

int& threads_of_this_thread() {
  thread_local int threads = available_cores();
  return threads;
}

/// Threads that help one thread with its loops. Asleep between loops.
class Helpers {
 public:
  Helpers() = default;
  Helpers(const Helpers&) = delete;
  Helpers& operator=(const Helpers&) = delete;
  Helpers(Helpers&&) = delete;
  Helpers& operator=(Helpers&&) = delete;
  ~Helpers() {
    {
      const std::scoped_lock lock(mutex_);
      stopping_ = true;
    }
    offered_.notify_all();
  }

  /// Runs `share`, which does not throw, here and in up to `count` helpers; returns when all that
  /// have begun it are through.
  void run(int count, const std::function<void()>& share) {
    start(count);
    {
      const std::scoped_lock lock(mutex_);
      share_ = &share;
      untaken_ = count;
    }
    for (int i = 0; i < count; ++i) offered_.notify_one();
    inside_loop = true;
    share();
    inside_loop = false;
    std::unique_lock lock(mutex_);
    untaken_ = 0;  // nothing is left to do for those that still sleep
    returned_.wait(lock, [&] { return working_ == 0; });
  }

 private:
  void start(int count) {
    try {
      while (std::ssize(threads_) < count) {
        threads_.emplace_back([this] { help(); });
      }
    } catch (const std::system_error& error) {
      throw CannotRun(fmt::format("cannot start a thread beside {} others of this loop: {}",
                                  threads_.size() + 1, error.what()));
    }
  }

  void help() {
    inside_loop = true;
    std::unique_lock lock(mutex_);
    while (true) {
      offered_.wait(lock, [&] { return stopping_ || untaken_ > 0; });
      if (stopping_) return;
      --untaken_;
      ++working_;
      const std::function<void()>& share = *share_;
      lock.unlock();
      share();
      lock.lock();
      if (--working_ == 0) returned_.notify_one();
    }
  }

  std::mutex mutex_;
  std::condition_variable offered_;
  std::condition_variable returned_;
  const std::function<void()>* share_ = nullptr;
  int untaken_ = 0;  ///< helpers that may still begin the share
  int working_ = 0;  ///< helpers that are at it
  bool stopping_ = false;
  std::vector<std::jthread> threads_;  ///< last: joined before the rest goes
};

}  // namespace

int num_threads() {
  return threads_of_this_thread();
}

void set_num_threads(int threads) {
  threads_of_this_thread() = std::max(1, threads);
}

void parallel_for_with(Index count, const std::function<std::function<void(Index)>()>& make_body) {
  std::atomic<Index> next = 0;
  std::mutex failure_mutex;
  std::exception_ptr failure;
  const auto share = [&] {
    try {
      if (next >= count) return;
      const std::function<void(Index)> body = make_body();
      for (Index i = next++; i < count; i = next++) body(i);
    } catch (...) {
      const std::scoped_lock lock(failure_mutex);
      if (!failure) failure = std::current_exception();
      next = count;
    }
  };
  const auto threads = static_cast<int>(std::min<Index>(num_threads(), count));
  if (inside_loop || threads <= 1) {
    share();
  } else {
    thread_local Helpers helpers;
    helpers.run(threads - 1, share);
  }
  if (failure) std::rethrow_exception(failure);
}

void parallel_for(Index count, const std::function<void(Index)>& body) {
  parallel_for_with(count, [&body] { return std::cref(body); });
}

}  // namespace apb
