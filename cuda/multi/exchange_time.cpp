#include "cuda/multi/exchange_time.hpp"

#include <memory>
#include <type_traits>

#include "cuda/comm/check_nccl.hpp"
#include "cuda/multi/message_pattern.hpp"
#include "cuda/multi/partners.hpp"

namespace apb::cuda {
namespace {

constexpr int kBatches = 11;  // that count

/// How a size is timed: few of what takes long.
struct Batches {
  int size;  ///< exchanges that are timed as one
  int warm;  ///< batches before those that count
};

Batches batches_of(std::size_t bytes) {
  constexpr std::size_t kSmall = std::size_t{4} << 20, kMiddle = std::size_t{32} << 20;
  if (bytes <= kSmall) return {20, 20};
  return bytes <= kMiddle ? Batches{8, 5} : Batches{3, 2};
}

/// Two buffers of one kind of memory.
class ExchangeMemory {
 public:
  ExchangeMemory(NcclCommunicator& nccl, std::size_t bytes, bool windows) : nccl_(nccl.get()) {
    for (Buffer& buffer : buffers_) {
      if (windows) {
        check_nccl(ncclMemAlloc(&buffer.data, bytes));
        buffer.of_nccl = true;
        check_nccl(ncclCommWindowRegister(nccl_, buffer.data, bytes, &buffer.window,
                                          NCCL_WIN_COLL_SYMMETRIC));
      } else {
        check(cudaMalloc(&buffer.data, bytes));
      }
    }
  }
  ExchangeMemory(const ExchangeMemory&) = delete;
  ExchangeMemory& operator=(const ExchangeMemory&) = delete;
  ExchangeMemory(ExchangeMemory&&) = delete;
  ExchangeMemory& operator=(ExchangeMemory&&) = delete;
  ~ExchangeMemory() {
    for (const Buffer& buffer : buffers_) {
      if (buffer.window != nullptr) ncclCommWindowDeregister(nccl_, buffer.window);
      if (buffer.of_nccl) {
        ncclMemFree(buffer.data);
      } else {
        cudaFree(buffer.data);
      }
    }
  }

  [[nodiscard]] void* send() const { return buffers_[0].data; }
  [[nodiscard]] void* received() const { return buffers_[1].data; }
  /// NCCL takes memory that it cannot map without a word, and gives no window.
  [[nodiscard]] bool has_windows() const {
    return buffers_[0].window != nullptr && buffers_[1].window != nullptr;
  }

 private:
  struct Buffer {
    void* data = nullptr;
    bool of_nccl = false;
    ncclWindow_t window = nullptr;
  };
  ncclComm_t nccl_;
  std::array<Buffer, 2> buffers_{};
};

/// A graph of some exchanges.
class CapturedBatch {
 public:
  CapturedBatch(const Stream& stream, const std::function<void()>& enqueue) {
    check(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeThreadLocal));
    enqueue();
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream.get(), &graph));
    graph_.reset(graph);
    cudaGraphExec_t ready = nullptr;
    check(cudaGraphInstantiate(&ready, graph, 0));
    ready_.reset(ready);
  }
  void launch(const Stream& stream) const { check(cudaGraphLaunch(ready_.get(), stream.get())); }

 private:
  struct Destroy {
    void operator()(cudaGraph_t graph) const { cudaGraphDestroy(graph); }
    void operator()(cudaGraphExec_t ready) const { cudaGraphExecDestroy(ready); }
  };
  std::unique_ptr<std::remove_pointer_t<cudaGraph_t>, Destroy> graph_;
  std::unique_ptr<std::remove_pointer_t<cudaGraphExec_t>, Destroy> ready_;
};

/// One kind and size between buffers.
class OneExchange {
 public:
  OneExchange(NcclCommunicator& nccl, ExchangeKind kind, std::size_t bytes,
              const ExchangeMemory& memory)
      : nccl_(nccl),
        kind_(kind),
        bytes_(bytes),
        per_rank_(bytes / static_cast<std::size_t>(nccl.num_ranks())),
        memory_(memory) {}

  void enqueue(cudaStream_t stream) const {
    const NcclCommunicator::Passed message{memory_.send(), bytes_, memory_.received(), bytes_};
    switch (kind_) {
      case ExchangeKind::kAllGather:
        return nccl_.all_gather(memory_.send(), memory_.received(), per_rank_, stream);
      case ExchangeKind::kAllToAll:
        return nccl_.all_to_all(memory_.send(), memory_.received(), per_rank_, stream);
      case ExchangeKind::kAllReduce:
        return check_nccl(ncclAllReduce(memory_.send(), memory_.received(), elements(bytes_),
                                        ncclBfloat16, ncclSum, nccl_.get(), stream));
      case ExchangeKind::kSendReceive:
        return nccl_.pass_on({&message, 1}, stream);
    }
  }

  /// Enqueues what is sent, and what never can arrive.
  void fill(cudaStream_t stream) const {
    check(cudaMemsetAsync(memory_.received(), 0xff, bytes_, stream));
    if (kind_ == ExchangeKind::kAllReduce) {
      fill_numbers(static_cast<Bfloat16*>(memory_.send()), count(bytes_), nccl_.rank(), stream);
    } else {
      fill_words(static_cast<std::uint16_t*>(memory_.send()), count(bytes_), nccl_.rank(), 0,
                 stream);
    }
  }

  /// Enqueues *wrong += words that are not what should have arrived.
  void check_data(std::uint64_t* wrong, cudaStream_t stream) const {
    const auto* words = static_cast<const std::uint16_t*>(memory_.received());
    const int ranks = nccl_.num_ranks(), self = nccl_.rank();
    switch (kind_) {
      case ExchangeKind::kAllGather:
      case ExchangeKind::kAllToAll:
        for (int sender = 0; sender < ranks; ++sender) {
          const Index first = kind_ == ExchangeKind::kAllToAll ? self * count(per_rank_) : 0;
          count_wrong_words(words + sender * count(per_rank_), count(per_rank_), sender, first,
                            wrong, stream);
        }
        return;
      case ExchangeKind::kAllReduce:
        return count_wrong_sums(static_cast<const Bfloat16*>(memory_.received()), count(bytes_),
                                ranks, wrong, stream);
      case ExchangeKind::kSendReceive:
        return count_wrong_words(words, count(bytes_), (self + ranks - 1) % ranks, 0, wrong,
                                 stream);
    }
  }

 private:
  static std::size_t elements(std::size_t bytes) { return bytes / sizeof(std::uint16_t); }
  static Index count(std::size_t bytes) { return static_cast<Index>(elements(bytes)); }

  NcclCommunicator& nccl_;
  ExchangeKind kind_;
  std::size_t bytes_, per_rank_;
  const ExchangeMemory& memory_;
};

ExchangeRuns time_one(NcclCommunicator& nccl, Partners& partners, const ExchangePoint& point,
                      const ExchangeMemory& memory, const Stream& stream) {
  const OneExchange exchange(nccl, point.kind, point.bytes, memory);
  const Batches batches = batches_of(point.bytes);
  const auto eager = [&] {
    for (int i = 0; i < batches.size; ++i) exchange.enqueue(stream.get());
  };
  exchange.enqueue(stream.get());  // NCCL connects ranks when they first meet
  stream.synchronize();
  exchange.fill(stream.get());
  stream.synchronize();
  std::unique_ptr<const CapturedBatch> captured;
  if (point.captured) captured = std::make_unique<const CapturedBatch>(stream, eager);
  const Event begin, end;
  ExchangeRuns runs{point, {}, 0};
  for (int batch = 0; batch < batches.warm + kBatches; ++batch) {
    partners.meet(stream.get());
    begin.record(stream.get());
    if (captured) {
      captured->launch(stream);
    } else {
      eager();
    }
    end.record(stream.get());
    end.synchronize();
    if (batch >= batches.warm) runs.seconds.push_back(seconds_between(begin, end) / batches.size);
  }
  const DeviceBuffer<std::uint64_t> wrong(1);
  check(cudaMemsetAsync(wrong.data(), 0, sizeof(std::uint64_t), stream.get()));
  exchange.check_data(wrong.data(), stream.get());
  runs.wrong_words = to_host(wrong, stream.get()).front();
  return runs;
}

}  // namespace

ExchangeTimes time_exchanges(NcclCommunicator& nccl, std::size_t smallest, std::size_t largest,
                             const std::function<bool(bool)>& agree,
                             const std::function<void(std::string_view)>& progress) {
  Partners partners(nccl);
  const Stream stream;
  ExchangeTimes times;
  const std::size_t whole = 16 * static_cast<std::size_t>(nccl.num_ranks());
  for (const bool windows : {false, true}) {
    const ExchangeMemory memory(nccl, largest, windows);
    if (windows) times.has_windows = agree(memory.has_windows());
    if (windows && !times.has_windows) break;
    // Eager ones first: right behind graphs, small ones took up to five times as long.
    for (const bool captured : {false, true}) {
      for (std::size_t kind = 0; kind < kExchangeNames.size(); ++kind) {
        progress(kExchangeNames.at(kind));
        for (std::size_t bytes = smallest; bytes <= largest; bytes *= 2) {
          const ExchangePoint point{static_cast<ExchangeKind>(kind), bytes / whole * whole, windows,
                                    captured};
          times.runs.push_back(time_one(nccl, partners, point, memory, stream));
        }
      }
    }
  }
  return times;
}

}  // namespace apb::cuda
