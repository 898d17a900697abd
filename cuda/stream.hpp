#pragma once
/// \file
/// Owners of streams and events. Every verb of this room takes the stream that it works on; none
/// waits for the device.

#include <memory>
#include <type_traits>

#include "cuda/check.hpp"

namespace apb::cuda {

/// Whose blocks the device takes first when several streams have work.
enum class Urgency { kUsual, kFirst };

/// Owns a stream of the current device, which does not wait for the legacy default stream.
class Stream {
 public:
  explicit Stream(Urgency urgency = Urgency::kUsual) : stream_(create(urgency)) {}
  [[nodiscard]] cudaStream_t get() const { return stream_.get(); }

  /// Waits until all work given so far is done. \throws CudaError if some of it failed
  void synchronize() const { check(cudaStreamSynchronize(get())); }

 private:
  struct Destroy {
    void operator()(cudaStream_t stream) const { cudaStreamDestroy(stream); }
  };
  static cudaStream_t create(Urgency urgency) {
    int usual = 0, first = 0;
    check(cudaDeviceGetStreamPriorityRange(&usual, &first));
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking,
                                       urgency == Urgency::kFirst ? first : usual));
    return stream;
  }
  std::unique_ptr<std::remove_pointer_t<cudaStream_t>, Destroy> stream_;
};

/// Owns an event: a mark in a stream that another one, or the CPU, waits for.
class Event {
 public:
  Event() : event_(create()) {}
  [[nodiscard]] cudaEvent_t get() const { return event_.get(); }

  void record(cudaStream_t stream) const { check(cudaEventRecord(get(), stream)); }
  /// Work given to `stream` from now on starts after the mark.
  void hold_back(cudaStream_t stream) const { check(cudaStreamWaitEvent(stream, get())); }
  void synchronize() const { check(cudaEventSynchronize(get())); }

 private:
  struct Destroy {
    void operator()(cudaEvent_t event) const { cudaEventDestroy(event); }
  };
  static cudaEvent_t create() {
    cudaEvent_t event = nullptr;
    check(cudaEventCreate(&event));
    return event;
  }
  std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, Destroy> event_;
};

/// Seconds between two marks that the device has passed.
[[nodiscard]] inline double seconds_between(const Event& begin, const Event& end) {
  float milliseconds = 0;
  check(cudaEventElapsedTime(&milliseconds, begin.get(), end.get()));
  return 1e-3 * static_cast<double>(milliseconds);
}

}  // namespace apb::cuda
