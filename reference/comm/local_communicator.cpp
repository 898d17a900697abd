#include "reference/comm/local_communicator.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <system_error>
#include <thread>

#include "reference/core/error.hpp"
#include "reference/core/parallel_for.hpp"

namespace apb {
namespace {

/// Thrown in ranks that wait for a rank that has failed.
struct PeerFailed : std::runtime_error {
  PeerFailed() : std::runtime_error("another rank failed") {}
};

/// One mailbox per (sender, receiver): messages arrive in the order they were sent.
class Mailboxes {
 public:
  using Message = std::vector<std::byte>;

  void send(int from, int to, std::span<const std::byte> data) {
    const std::scoped_lock lock(mutex_);
    boxes_[{from, to}].emplace_back(data.begin(), data.end());
    arrived_.notify_all();
  }

  Message receive(int from, int to) {
    std::unique_lock lock(mutex_);
    std::deque<Message>& box = boxes_[{from, to}];
    arrived_.wait(lock, [&] { return failed_ || !box.empty(); });
    if (box.empty()) throw PeerFailed();
    Message message = std::move(box.front());
    box.pop_front();
    return message;
  }

  /// Wakes everyone who waits: a rank is gone.
  void fail() {
    const std::scoped_lock lock(mutex_);
    failed_ = true;
    arrived_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::map<std::pair<int, int>, std::deque<Message>> boxes_;
  bool failed_ = false;
};

/// Every collective is made of point-to-point messages, rank by rank.
class LocalCommunicator final : public Communicator {
 public:
  LocalCommunicator(Mailboxes& mailboxes, int rank, int num_ranks)
      : mailboxes_(mailboxes), rank_(rank), num_ranks_(num_ranks) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int num_ranks() const override { return num_ranks_; }

 protected:
  void do_all_gather(Bytes mine, MutableBytes all, Sizes sizes) override {
    for (int other = 0; other < num_ranks_; ++other) {
      if (other != rank_) mailboxes_.send(rank_, other, mine);
    }
    for (int other = 0; other < num_ranks_; ++other) {
      const std::size_t size = sizes[static_cast<std::size_t>(other)];
      take(other, mine, all.first(size));
      all = all.subspan(size);
    }
  }

  void do_all_to_all(Bytes mine, Sizes send_sizes, MutableBytes received,
                     Sizes receive_sizes) override {
    Bytes own_part;
    for (int other = 0; other < num_ranks_; ++other) {
      const std::size_t size = send_sizes[static_cast<std::size_t>(other)];
      if (other == rank_) {
        own_part = mine.first(size);
      } else {
        mailboxes_.send(rank_, other, mine.first(size));
      }
      mine = mine.subspan(size);
    }
    for (int other = 0; other < num_ranks_; ++other) {
      const std::size_t size = receive_sizes[static_cast<std::size_t>(other)];
      take(other, own_part, received.first(size));
      received = received.subspan(size);
    }
  }

  void do_send_recv(int to, Bytes mine, int from, MutableBytes received) override {
    if (to != kNobody) mailboxes_.send(rank_, to, mine);
    if (from != kNobody) copy(mailboxes_.receive(from, rank_), received);
  }

  void do_broadcast(int root, MutableBytes data) override {
    if (rank_ != root) {
      copy(mailboxes_.receive(root, rank_), data);
      return;
    }
    for (int other = 0; other < num_ranks_; ++other) {
      if (other != root) mailboxes_.send(root, other, data);
    }
  }

 private:
  static void copy(Bytes from, MutableBytes to) {
    if (from.size() != to.size()) throw std::logic_error("message has an unexpected size");
    std::copy(from.begin(), from.end(), to.begin());
  }

  /// What `other` sent, or this rank's own part.
  void take(int other, Bytes own, MutableBytes into) {
    if (other == rank_) {
      copy(own, into);
    } else {
      copy(mailboxes_.receive(other, rank_), into);
    }
  }

  Mailboxes& mailboxes_;
  int rank_;
  int num_ranks_;
};

}  // namespace

void run_local_ranks(int num_ranks, int threads_per_rank,
                     const std::function<void(Communicator&)>& work) {
  if (num_ranks < 1) throw BadInput("run", "ranks", num_ranks, "at least 1");
  Mailboxes mailboxes;
  std::mutex error_mutex;
  std::exception_ptr first_error;
  const auto fail = [&](const std::exception_ptr& error) {
    const std::scoped_lock lock(error_mutex);
    if (!first_error) first_error = error;
    mailboxes.fail();
  };
  const auto run_rank = [&](int rank) {
    try {
      set_num_threads(threads_per_rank);
      LocalCommunicator communicator(mailboxes, rank, num_ranks);
      work(communicator);
    } catch (const PeerFailed&) {
      // The rank that failed first reports.
    } catch (...) {
      fail(std::current_exception());
    }
  };
  std::vector<std::jthread> threads;
  try {
    for (int rank = 0; rank < num_ranks; ++rank) threads.emplace_back(run_rank, rank);
  } catch (const std::system_error& error) {
    fail(std::make_exception_ptr(CannotRun(fmt::format(
        "cannot start a thread for rank {} of {}: {}", threads.size(), num_ranks, error.what()))));
  } catch (...) {
    fail(std::current_exception());
  }
  threads.clear();
  if (first_error) std::rethrow_exception(first_error);
}

}  // namespace apb
