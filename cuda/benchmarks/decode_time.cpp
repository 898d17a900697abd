// Time of a decode step's attention over one rank's cache, and of the merge over 8 ranks (32/8
// heads of 128). Correctness is the tests' matter; run them first.
//
//   decode_time [REPEATS]

#include <fmt/format.h>

#include <cstdlib>

#include "cuda/benchmarks/timing.hpp"
#include "cuda/decode/attend_cache.hpp"

namespace apb::cuda {
namespace {

constexpr Index kQueryHeads = 32, kKvHeads = 8, kHeadDim = 128, kRanks = 8;

void run(int repeats) {
  const Stream stream;
  fmt::print("{}, {} runs each, L2 cold, bf16, {}/{} heads of {}\n", device_name(), repeats,
             kQueryHeads, kKvHeads, kHeadDim);
  fmt::print("    keys   median      min   max us   GB/s of keys and values\n");
  const auto query = random_buffer<Bfloat16>(kQueryHeads * kHeadDim, 1, stream);
  for (const Index keys : {Index{4096}, Index{16384}, Index{65536}}) {
    const Index elements = keys * kKvHeads * kHeadDim;
    const auto memory = random_buffer<Bfloat16>(static_cast<std::size_t>(2 * elements), 2, stream);
    const auto half = [&](Index which) {
      return DeviceHeads<const Bfloat16>::rows_first(memory.data() + which * elements, keys,
                                                     kKvHeads, kHeadDim);
    };
    const CacheAttention<Bfloat16> call{
        DeviceHeads<const Bfloat16>::rows_first(query.data(), 1, kQueryHeads, kHeadDim),
        {half(0), half(1)},
        0.088};
    const DeviceBuffer<float> workspace(static_cast<std::size_t>(call.workspace_size()));
    const DeviceBuffer<float> partial(static_cast<std::size_t>(call.shape().size()));
    const Timing timing =
        time_cold([&] { attend_cache(call, workspace.data(), partial.data(), stream.get()); },
                  repeats, stream);
    fmt::print("{:8} {:8.1f} {:8.1f} {:8.1f} {:8.0f}\n", keys, 1e6 * timing.median_s,
               1e6 * timing.least_s, 1e6 * timing.most_s,
               1e-9 * 4 * static_cast<double>(elements) / timing.median_s);
  }
  const PartialShape shape{1, kQueryHeads, kHeadDim};
  const auto parts =
      random_buffer<float>(static_cast<std::size_t>(kRanks * shape.size()), 3, stream);
  const DeviceBuffer<float> merged(static_cast<std::size_t>(shape.size()));
  const Timing timing = time_cold(
      [&] {
        merge_partials(parts.data(), kRanks, shape, merged.data(), merged.data() + shape.out_size(),
                       stream.get());
      },
      repeats, stream);
  fmt::print("merge of {} ranks: {:.1f} us\n", kRanks, 1e6 * timing.median_s);
}

}  // namespace
}  // namespace apb::cuda

int main(int argc, char** argv) {
  apb::cuda::run(argc > 1 ? std::atoi(argv[1]) : 20);
  return 0;
}
