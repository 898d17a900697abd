// Rate of three-segment attention at the paper's shapes (Llama-3.1-8B heads, H = 8) and off the
// tile grid. Correctness is the tests' matter; run them first.
//
//   attention_rate [REPEATS]

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>

#include "cuda/attention/three_segments.hpp"
#include "cuda/benchmarks/timing.hpp"

namespace apb::cuda {
namespace {

struct Shape {
  const char* type;
  Index anchor_rows, num_kept, lower_ranks, block_rows, num_q_heads, num_kv_heads, head_dim;
};

/// 4 head_dim per visible pair and query head.
double attention_flop(const Shape& shape) {
  const auto a = static_cast<double>(shape.anchor_rows), b = static_cast<double>(shape.block_rows);
  const auto p = static_cast<double>(shape.num_kept * shape.lower_ranks);
  const double pairs = a * (a + 1) / 2 + b * (a + p) + b * (b + 1) / 2;
  return 4 * static_cast<double>(shape.head_dim * shape.num_q_heads) * pairs;
}

template <class T>
void time_shape(const Shape& shape, int repeats, const Stream& stream) {
  const Index d = shape.head_dim, rows = shape.anchor_rows + shape.block_rows;
  const Index heads = shape.num_q_heads + 2 * shape.num_kv_heads;
  const Index slice = shape.num_kv_heads * shape.num_kept * d;
  const auto size = [](Index count) { return static_cast<std::size_t>(count); };
  const auto qkv = random_buffer<T>(size(rows * heads * d), 1, stream);
  const auto gathered = random_buffer<T>(size(2 * slice * shape.lower_ranks), 2, stream);
  const DeviceBuffer<T> out(size(rows * shape.num_q_heads * d));
  const DeviceBuffer<float> lse(size(rows * shape.num_q_heads));

  const auto own = [&](Index first, Index count, Index first_head, Index num_heads) {
    return DeviceHeads<const T>{
        qkv.data() + (first * heads + first_head) * d, count, num_heads, d, heads * d, d};
  };
  const auto keys = [&](Index first, Index count) {
    return KeysAndValues<T>{
        own(first, count, shape.num_q_heads, shape.num_kv_heads),
        own(first, count, shape.num_q_heads + shape.num_kv_heads, shape.num_kv_heads)};
  };
  const auto results = [&](Index first, Index count) {
    return QueryRows<T>{own(first, count, 0, shape.num_q_heads),
                        DeviceHeads<T>::rows_first(out.data() + first * shape.num_q_heads * d,
                                                   count, shape.num_q_heads, d),
                        lse.data() + first * shape.num_q_heads};
  };
  std::vector<KeysAndValues<T>> passing;
  for (Index rank = 0; rank < shape.lower_ranks; ++rank) {
    const auto half = [&](Index which) {
      return DeviceHeads<const T>::heads_first(gathered.data() + (2 * rank + which) * slice,
                                               shape.num_kept, shape.num_kv_heads, d,
                                               shape.num_kept);
    };
    passing.push_back({half(0), half(1)});
  }
  ThreeSegments<T> call;
  call.anchor_rows = results(0, shape.anchor_rows);
  call.block_rows = results(shape.anchor_rows, shape.block_rows);
  call.anchor = keys(0, shape.anchor_rows);
  call.block = keys(shape.anchor_rows, shape.block_rows);
  call.passing = passing;
  call.softmax_scale = 1 / std::sqrt(static_cast<double>(d));

  const Timing timing = time_cold([&] { attend(call, stream.get()); }, repeats, stream);
  fmt::print("{:5} {:6} {:6} x {} {:6} {:3}/{} {:4}  {:8.3f} {:8.3f} {:8.3f} {:8.1f}\n", shape.type,
             shape.anchor_rows, shape.num_kept, shape.lower_ranks, shape.block_rows,
             shape.num_q_heads, shape.num_kv_heads, d, 1e3 * timing.median_s, 1e3 * timing.least_s,
             1e3 * timing.most_s, 1e-12 * attention_flop(shape) / timing.median_s);
}

void run(int repeats) {
  const Stream stream;
  fmt::print("{}, {} runs each, L2 cold\n", device_name(), repeats);
  fmt::print("type  anchor passing     block heads    d    median      min      max ms  TFLOP/s\n");
  const Shape shapes[] = {
      {"bf16", 0, 2048, 0, 16384, 32, 8, 128},    {"bf16", 4096, 2048, 1, 16384, 32, 8, 128},
      {"bf16", 4096, 2048, 4, 16384, 32, 8, 128}, {"bf16", 4096, 2048, 7, 16384, 32, 8, 128},
      {"bf16", 4095, 2047, 7, 16383, 32, 8, 128}, {"bf16", 4001, 2001, 7, 16001, 32, 8, 128},
      {"fp16", 4096, 2048, 7, 16384, 32, 8, 128}, {"bf16", 4096, 2048, 7, 16384, 32, 8, 64},
      {"bf16", 1024, 512, 7, 4096, 32, 8, 128},
  };
  for (const Shape& shape : shapes) {
    if (std::string_view(shape.type) == "bf16") {
      time_shape<Bfloat16>(shape, repeats, stream);
    } else {
      time_shape<Float16>(shape, repeats, stream);
    }
  }
}

}  // namespace
}  // namespace apb::cuda

int main(int argc, char** argv) {
  apb::cuda::run(argc > 1 ? std::atoi(argv[1]) : 20);
  return 0;
}
