#include "cuda/benchmarks/timing.hpp"

#include <algorithm>

namespace apb::cuda {

Timing time_cold(const std::function<void()>& work, int repeats, const Stream& stream) {
  const DeviceBuffer<char> flush(std::size_t{1} << 28);
  const Event begin, end;
  std::vector<double> seconds;
  for (int run = -3; run < repeats; ++run) {
    check(cudaMemsetAsync(flush.data(), run & 0xFF, flush.size(), stream.get()));
    begin.record(stream.get());
    work();
    end.record(stream.get());
    end.synchronize();
    if (run >= 0) seconds.push_back(seconds_between(begin, end));
  }
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
