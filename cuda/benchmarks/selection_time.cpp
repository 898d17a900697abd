// Time of selection and gather, 8 KV heads of 128, by length, kept rows and distribution of the
// importances. Correctness is the tests' matter; run them first.
//
//   selection_time [REPEATS]

#include <fmt/format.h>

#include <cstdlib>

#include "cuda/benchmarks/timing.hpp"
#include "cuda/selection/select_and_pack.hpp"

namespace apb::cuda {
namespace {

constexpr Index kHeads = 8, kHeadDim = 128;

void time_selection(const char* name, Index rows, Index kept, const std::vector<float>& importance,
                    int repeats, const Stream& stream) {
  std::vector<Bfloat16> stored;
  for (const float score : importance) stored.emplace_back(score);
  const auto scores = to_device(stored, stream.get());
  const auto size = [](Index count) { return static_cast<std::size_t>(count); };
  const auto own = random_buffer<Bfloat16>(size(2 * rows * kHeads * kHeadDim), 1, stream);
  const DeviceBuffer<Bfloat16> buffer(size(2 * kept * kHeads * kHeadDim));
  const DeviceBuffer<Index> positions(size(kept * kHeads));
  const auto entries = [&](Index which) {
    return DeviceHeads<const Bfloat16>::rows_first(own.data() + which * rows * kHeads * kHeadDim,
                                                   rows, kHeads, kHeadDim);
  };
  const Candidates<Bfloat16, Bfloat16> candidates{
      scores.data(), kHeads, {entries(0), entries(1)}, 0};
  const KeptEntries<Bfloat16> result{kept, kept, buffer.data(), positions.data(), nullptr};
  const Timing timing =
      time_cold([&] { select_and_pack(candidates, result, stream.get()); }, repeats, stream);
  fmt::print("{:8} {:6}  {:10} {:8.1f} {:8.1f} {:8.1f}\n", rows, kept, name, 1e6 * timing.median_s,
             1e6 * timing.least_s, 1e6 * timing.most_s);
}

void run(int repeats) {
  const Stream stream;
  fmt::print("{}, {} runs each, L2 cold, {} KV heads, bf16\n", device_name(), repeats, kHeads);
  fmt::print("    rows   kept  scores       median      min   max us\n");
  const std::pair<Index, Index> shapes[] = {{16384, 512},  {16384, 2048},  {16384, 8192},
                                            {65536, 8192}, {262144, 8192}, {1048576, 16384}};
  for (const auto& [rows, kept] : shapes) {
    std::vector<float> scores(static_cast<std::size_t>(rows * kHeads));
    std::uint64_t state = 1;
    for (float& score : scores) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      score = static_cast<float>(state >> 40) * 0x1p-24F - 0.5F;
    }
    time_selection("uniform", rows, kept, scores, repeats, stream);
    for (float& score : scores) score = score > 0.4F ? 1.0F : 0.0F;
    time_selection("two values", rows, kept, scores, repeats, stream);
    scores.assign(scores.size(), 1.0F);
    time_selection("all equal", rows, kept, scores, repeats, stream);
  }
}

}  // namespace
}  // namespace apb::cuda

int main(int argc, char** argv) {
  apb::cuda::run(argc > 1 ? std::atoi(argv[1]) : 20);
  return 0;
}
