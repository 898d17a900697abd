#include "cuda/benchmarks/timing.hpp"

#include <algorithm>
#include <chrono>

#include "cuda/benchmarks/read_all.hpp"

namespace apb::cuda {

ColdCache::ColdCache() : memory_(std::size_t{1} << 26) {
  check(cudaMemset(memory_.data(), 1, memory_.size() * sizeof(std::uint32_t)));
}

void ColdCache::chill(cudaStream_t stream) const {
  read_all(memory_, stream);
}

Timing time_cold(const std::function<void()>& work, int repeats, const Stream& stream) {
  const ColdCache cache;
  const Event begin, end;
  const auto once = [&] {
    cache.chill(stream.get());
    begin.record(stream.get());
    work();
    end.record(stream.get());
    end.synchronize();
    return seconds_between(begin, end);
  };
  const auto started = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - started < std::chrono::milliseconds(300)) (void)once();
  std::vector<double> seconds;
  for (int run = 0; run < repeats; ++run) seconds.push_back(once());
  std::sort(seconds.begin(), seconds.end());
  return {seconds[seconds.size() / 2], seconds.front(), seconds.back()};
}

std::string device_name() {
  int device = 0;
  cudaDeviceProp properties{};
  check(cudaGetDevice(&device));
  check(cudaGetDeviceProperties(&properties, device));
  return properties.name;
}

}  // namespace apb::cuda
