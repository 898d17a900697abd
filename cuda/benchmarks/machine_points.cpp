#include "cuda/benchmarks/machine_points.hpp"

#include <cmath>

#include "cuda/attention/three_segments.hpp"
#include "cuda/benchmarks/random_values.hpp"
#include "cuda/layer/matrix_product.hpp"

namespace apb::cuda {
namespace {

DeviceBuffer<Bfloat16> random(Index count, std::uint64_t seed, const Stream& stream) {
  DeviceBuffer<Bfloat16> buffer(static_cast<std::size_t>(count));
  fill_normal(buffer.data(), count, 1, seed, stream.get());
  return buffer;
}

/// Runs `work` as counted_runs says.
Timing timing_of(const std::function<void()>& work, const Stream& stream) {
  struct Run {
    double total_s = 0;
  };
  const ColdCache cache;
  const Event begin, end;
  const auto runs = counted_runs<Run>([&] {
    cache.chill(stream.get());
    begin.record(stream.get());
    work();
    end.record(stream.get());
    end.synchronize();
    return Run{seconds_between(begin, end)};
  });
  return {runs[runs.size() / 2].total_s, runs.front().total_s, runs.back().total_s};
}

}  // namespace

double AttentionShape::flop() const {
  const auto q = static_cast<double>(q_len), kv = static_cast<double>(kv_len);
  const double pairs = causal ? q * (kv - (q - 1) / 2) : q * kv;
  return 4 * static_cast<double>(head_dim * num_q_heads) * pairs;
}

Timing time_product(const ProductShape& shape, const Stream& stream) {
  const auto x = random(shape.m * shape.k, 1, stream), w = random(shape.n * shape.k, 2, stream);
  const DeviceBuffer<Bfloat16> y(static_cast<std::size_t>(shape.m * shape.n));
  MatrixProducts products;
  return timing_of(
      [&] {
        products.enqueue<Bfloat16, Bfloat16>(
            {DeviceRows<const Bfloat16>::dense(x.data(), shape.m, shape.k), w.data(),
             DeviceRows<Bfloat16>::dense(y.data(), shape.m, shape.n), nullptr, false},
            stream.get());
      },
      stream);
}

Timing time_attention(const AttentionShape& shape, const Stream& stream) {
  const auto& [causal, q_len, kv_len, q_heads, kv_heads, d] = shape;
  const auto query = random(q_len * q_heads * d, 1, stream);
  const auto key = random(kv_len * kv_heads * d, 2, stream);
  const auto value = random(kv_len * kv_heads * d, 3, stream);
  const DeviceBuffer<Bfloat16> out(query.size());
  const DeviceBuffer<float> lse(static_cast<std::size_t>(q_len * q_heads));
  using Heads = DeviceHeads<const Bfloat16>;
  const KeysAndValues<Bfloat16> keys{Heads::rows_first(key.data(), kv_len, kv_heads, d),
                                     Heads::rows_first(value.data(), kv_len, kv_heads, d)};
  const KeysAndValues<Bfloat16> none{keys.key.slice(0, 0), keys.value.slice(0, 0)};
  const QueryRows<Bfloat16> rows{Heads::rows_first(query.data(), q_len, q_heads, d),
                                 DeviceHeads<Bfloat16>::rows_first(out.data(), q_len, q_heads, d),
                                 lse.data()};
  ThreeSegments<Bfloat16> call{
      .anchor_rows = {rows.query.slice(0, 0), rows.out.slice(0, 0), nullptr},
      .block_rows = rows,
      .anchor = shape.causal ? none : keys,
      .block = shape.causal ? keys : none,
      .passing = {},
      .softmax_scale = 1 / std::sqrt(static_cast<double>(d))};
  return timing_of([&] { attend(call, stream.get()); }, stream);
}

}  // namespace apb::cuda
