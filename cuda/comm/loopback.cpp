#include "cuda/comm/loopback.hpp"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>

#include "cuda/error.hpp"

namespace apb::cuda {
namespace {

/// Thrown in ranks that wait when another one has failed.
struct OtherRankFailed {};

/// What a rank waits for.
struct Exchange {
  enum class Kind { kGather, kSend, kReceive } kind;
  int partner;  ///< of a send or receive
  const void* mine;
  void* target;
  std::size_t bytes;
};

/// Who may run, and what the others wait for. All of it under one mutex.
class Turns {
 public:
  explicit Turns(int num_ranks) : ranks_(static_cast<std::size_t>(num_ranks)) {}

  [[nodiscard]] int num_ranks() const { return static_cast<int>(ranks_.size()); }

  /// Waits until it is this rank's turn.
  void begin(int rank) {
    std::unique_lock lock(mutex_);
    wait_for_turn(rank, lock);
  }

  /// Waits until the exchange has been done, and for the turn. What it reads has been computed.
  void exchange(int rank, const Exchange& wanted) {
    std::unique_lock lock(mutex_);
    at(rank).waits_for = wanted;
    complete_exchanges(rank);
    pass_on(rank);
    wait_for_turn(rank, lock);
  }

  void end(int rank) {
    const std::scoped_lock lock(mutex_);
    at(rank).ended = true;
    pass_on(rank);
  }

  void fail(std::exception_ptr error) {
    const std::scoped_lock lock(mutex_);
    if (!error_) error_ = std::move(error);
    changed_.notify_all();
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

 private:
  struct State {
    std::optional<Exchange> waits_for;
    bool ended = false;
  };

  State& at(int rank) { return ranks_[static_cast<std::size_t>(rank)]; }

  void wait_for_turn(int rank, std::unique_lock<std::mutex>& lock) {
    changed_.wait(lock, [&] { return turn_ == rank || error_; });
    if (error_) throw OtherRankFailed();
  }

  /// Gives the turn to the next rank that can run.
  void pass_on(int rank) {
    for (int step = 1; step <= num_ranks(); ++step) {
      const int next = (rank + step) % num_ranks();
      if (!at(next).ended && !at(next).waits_for) {
        turn_ = next;
        changed_.notify_all();
        return;
      }
    }
    const bool all_ended =
        std::all_of(ranks_.begin(), ranks_.end(), [](const State& state) { return state.ended; });
    if (all_ended || error_) return;
    error_ = std::make_exception_ptr(CannotRun("loopback: ranks wait for each other"));
    changed_.notify_all();
  }

  static void copy(const void* from, void* to, std::size_t bytes) {
    check(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToDevice));
  }

  /// Does what this rank was the last to come to.
  void complete_exchanges(int rank) {
    const Exchange own = *at(rank).waits_for;
    if (own.kind == Exchange::Kind::kGather) {
      const bool all_came = std::all_of(ranks_.begin(), ranks_.end(), [&](const State& state) {
        return state.waits_for && state.waits_for->kind == Exchange::Kind::kGather;
      });
      if (!all_came) return;
      for (const State& to : ranks_) {
        auto* target = static_cast<std::byte*>(to.waits_for->target);
        for (const State& from : ranks_) {
          if (from.waits_for->bytes != own.bytes) {
            throw CannotRun("loopback: ranks gather different sizes");
          }
          copy(from.waits_for->mine, target, own.bytes);
          target += own.bytes;
        }
      }
      synchronize();
      for (State& state : ranks_) state.waits_for.reset();
      return;
    }
    State& partner = at(own.partner);
    if (!partner.waits_for || partner.waits_for->kind == Exchange::Kind::kGather ||
        partner.waits_for->kind == own.kind || partner.waits_for->partner != rank) {
      return;
    }
    const Exchange& sent = own.kind == Exchange::Kind::kSend ? own : *partner.waits_for;
    const Exchange& received = own.kind == Exchange::Kind::kSend ? *partner.waits_for : own;
    if (sent.bytes != received.bytes) throw CannotRun("loopback: ranks send different sizes");
    copy(sent.mine, received.target, sent.bytes);
    synchronize();
    at(rank).waits_for.reset();
    partner.waits_for.reset();
  }

  /// A copy on the default stream is not waited for by the ranks' streams.
  static void synchronize() { check(cudaStreamSynchronize(nullptr)); }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<State> ranks_;
  int turn_ = 0;
  std::exception_ptr error_;
};

class LoopbackCommunicator final : public DeviceCommunicator {
 public:
  LoopbackCommunicator(int rank, Turns& turns) : rank_(rank), turns_(turns) {}

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int num_ranks() const override { return turns_.num_ranks(); }

 protected:
  using Kind = Exchange::Kind;

  void do_all_gather(const void* mine, void* all, std::size_t bytes, cudaStream_t stream) override {
    exchange({Kind::kGather, rank_, mine, all, bytes}, stream);
  }
  void do_send(int to, const void* data, std::size_t bytes, cudaStream_t stream) override {
    exchange({Kind::kSend, to, data, nullptr, bytes}, stream);
  }
  void do_receive(int from, void* data, std::size_t bytes, cudaStream_t stream) override {
    exchange({Kind::kReceive, from, nullptr, data, bytes}, stream);
  }

 private:
  void exchange(const Exchange& wanted, cudaStream_t stream) {
    check(cudaStreamSynchronize(stream));
    turns_.exchange(rank_, wanted);
  }

  int rank_;
  Turns& turns_;
};

}  // namespace

void run_loopback_ranks(int num_ranks, const std::function<void(DeviceCommunicator&)>& work) {
  Turns turns(num_ranks);
  int device = 0;
  check(cudaGetDevice(&device));
  const auto run = [&](int rank) {
    try {
      check(cudaSetDevice(device));
      turns.begin(rank);
      LoopbackCommunicator communicator(rank, turns);
      work(communicator);
      turns.end(rank);
    } catch (const OtherRankFailed&) {
      return;
    } catch (...) {
      turns.fail(std::current_exception());
    }
  };
  std::vector<std::thread> threads;
  try {
    for (int rank = 0; rank < num_ranks; ++rank) threads.emplace_back(run, rank);
  } catch (...) {  // no thread could be started: those that run are woken up
    turns.fail(std::current_exception());
  }
  for (std::thread& thread : threads) thread.join();
  turns.rethrow();
}

}  // namespace apb::cuda
