#pragma once
/// \file
/// How a benchmark of this room measures: random data, a cold L2 cache, device events, the median.

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "cuda/device_buffer.hpp"
#include "cuda/stream.hpp"

namespace apb::cuda {

/// Seconds of one piece of work.
struct Timing {
  double median_s = 0, least_s = 0, most_s = 0;
};

/// Times `work` on the stream. It is called for 0.3 s first, because an idle GPU's clock takes a
/// while to rise; then `repeats` times. Before each call 256 MiB are read, so that nothing that
/// work reads is in the L2 cache, nor anything that would have to be written back.
[[nodiscard]] Timing time_cold(const std::function<void()>& work, int repeats,
                               const Stream& stream);

/// Empties the L2 cache of everything that a benchmark could need: reads 256 MiB of its own.
class ColdCache {
 public:
  ColdCache();
  /// Enqueues the reading.
  void chill(cudaStream_t stream) const;

 private:
  DeviceBuffer<std::uint32_t> memory_;
};

/// Runs of one piece of work that takes from microseconds to many seconds. The first ones, for 0.1
/// s, warm up and do not count, unless one takes longer than that by itself. Then as many as fit
/// into 0.3 s: 3 at least, 20 at most.
/// \tparam Run  what one run tells; its `total_s` is in seconds
/// \returns the runs that count, the fastest first
template <class Run>
[[nodiscard]] std::vector<Run> counted_runs(const std::function<Run()>& once) {
  constexpr double kWarm_s = 0.1, kBudget_s = 0.3;
  constexpr int kLeast = 3, kMost = 20;
  Run run = once();
  for (double warm_s = run.total_s; warm_s < kWarm_s; warm_s += run.total_s) run = once();
  std::vector<Run> runs;
  if (run.total_s > kWarm_s) runs.push_back(run);
  const int wanted = std::clamp(static_cast<int>(kBudget_s / run.total_s), kLeast, kMost);
  while (std::ssize(runs) < wanted) runs.push_back(once());
  std::sort(runs.begin(), runs.end(),
            [](const Run& a, const Run& b) { return a.total_s < b.total_s; });
  return runs;
}

/// Name of the current device.
[[nodiscard]] std::string device_name();

/// `count` numbers uniform in [-1, 1), the same for the same seed; after 2^22 of them they repeat,
/// because the CPU would take longer to make them than the GPU to use them.
template <class T>
[[nodiscard]] DeviceBuffer<T> random_buffer(std::size_t count, std::uint64_t seed,
                                            const Stream& stream) {
  std::vector<T> values(std::min(count, std::size_t{1} << 22));
  for (std::size_t i = 0; i < values.size(); ++i) {
    std::uint64_t hash = (seed << 40) + i + 0x9E3779B97F4A7C15U;  // SplitMix64
    hash = (hash ^ (hash >> 30)) * 0xBF58476D1CE4E5B9U;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBU;
    values[i] = static_cast<T>(static_cast<float>(hash >> 40) * 0x1p-23F - 1.0F);
  }
  DeviceBuffer<T> buffer(count);
  for (std::size_t first = 0; first < count; first += values.size()) {
    const std::span<const T> piece(values.data(), std::min(values.size(), count - first));
    copy_to_device(piece, buffer.data() + first, stream.get());
  }
  return buffer;
}

}  // namespace apb::cuda
