// Scores of a block by every compressor against the reference in double, on the same rounded
// inputs.

#include <limits>

#include "cuda/selection/block_scores.hpp"
#include "reference/attention/block_scores.hpp"
#include "tests/cuda/device_matrix.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

/// Scores as they lie on the device, NaN at first.
struct Scores {
  cuda::DeviceBuffer<float> there;
  Index rows, heads;

  Scores(Index num_rows, Index num_heads, const cuda::Stream& stream)
      : there(cuda::to_device(
            std::vector<float>(static_cast<std::size_t>(num_rows * num_heads), kNaN),
            stream.get())),
        rows(num_rows),
        heads(num_heads) {}
  [[nodiscard]] Matrix<double> read(const cuda::Stream& stream) const {
    const std::vector<float> values = cuda::to_host(there, stream.get());
    return Eigen::Map<const Matrix<float>>(values.data(), rows, heads).cast<double>();
  }
};

/// |found - expected| <= terms 2^-23 size, everywhere: fp32 sums, on tensor cores cut off.
void check_fp32(const Matrix<double>& found, const Matrix<double>& expected,
                const Matrix<double>& size, double terms) {
  if (found.size() == 0) return;
  const Matrix<double> allowed = (size * terms * 0x1p-23).array() + 1e-30;
  const double worst = ((found - expected).cwiseAbs().array() / allowed.array()).maxCoeff();
  CHECK(found.allFinite());
  CHECK(worst <= 1);
}

template <class T>
void check_retaining(Index rows, Index inputs, Index hidden, Index heads) {
  const cuda::Stream stream;
  RandomTensors random(73);
  const bool linear = hidden == 0;
  const Rows<T> features(random.matrix<double>(rows, inputs), stream, 24);
  const Rows<T> fc1(random.matrix<double>(linear ? heads : hidden, inputs) * 0.2, stream, 0);
  const Rows<T> fc2(random.matrix<double>(linear ? 0 : heads, linear ? 0 : hidden), stream, 0);
  const cuda::DeviceRetainingHead<T> head{fc1.there.data(), linear ? nullptr : fc2.there.data(),
                                          inputs, hidden, heads};
  const cuda::DeviceBuffer<float> workspace(
      static_cast<std::size_t>(cuda::retaining_workspace_size(head, rows)));
  const Scores scores(rows, heads, stream);
  cuda::MatrixProducts products;
  cuda::retaining_head_scores(products, head, features.constant(), workspace.data(),
                              scores.there.data(), stream.get());

  Counters counters;
  const Matrix<double> expected =
      retaining_scores<double>({fc1.host, fc2.host}, features.host, counters);
  Matrix<double> size = features.host.cwiseAbs() * fc1.host.cwiseAbs().transpose();
  if (!linear) size = 1.1 * size * fc2.host.cwiseAbs().transpose();
  INFO(rows << " rows, " << inputs << " inputs, " << hidden << " units, " << heads << " heads");
  check_fp32(scores.read(stream), expected, size, static_cast<double>((inputs + hidden) / 16 + 16));
}

template <class T>
void check_query_aware(Index query_rows, Index rows, Index q_heads, Index kv_heads,
                       Index head_dim) {
  const cuda::Stream stream;
  RandomTensors random(74);
  const Rows<T> query(random.matrix<double>(query_rows, q_heads * head_dim), stream, 8);
  const Rows<T> key(random.matrix<double>(rows, kv_heads * head_dim), stream, 16);
  const cuda::DeviceBuffer<float> mean(static_cast<std::size_t>(kv_heads * head_dim));
  const Scores scores(rows, kv_heads, stream);
  const auto heads = [&](const Rows<T>& from, Index count) {
    return cuda::DeviceHeads<const T>{from.there.data(), from.host.rows(), count,
                                      head_dim,          from.stride(),    head_dim};
  };
  cuda::query_aware_scores<T>(heads(query, q_heads), heads(key, kv_heads), mean.data(),
                              scores.there.data(), stream.get());

  const auto host = [&](const Matrix<double>& from, Index count) {
    return HeadsView<const double>{from.data(), from.rows(), count, head_dim, count * head_dim};
  };
  Counters counters;
  const Matrix<double> abs_query = query.host.cwiseAbs(), abs_key = key.host.cwiseAbs();
  const auto expected =
      query_aware_scores<double>(host(query.host, q_heads), host(key.host, kv_heads), counters);
  const auto size =
      query_aware_scores<double>(host(abs_query, q_heads), host(abs_key, kv_heads), counters);
  INFO(query_rows << " query rows, " << rows << " rows, " << q_heads << "/" << kv_heads);
  check_fp32(scores.read(stream), expected, size,
             static_cast<double>(head_dim / 32 + query_rows * q_heads / kv_heads + 8));
}

}  // namespace

TEST_CASE("cuda: scores of a retaining head, two layers or one", "[reduced]") {
  for (const auto& [inputs, hidden, heads] : std::vector<std::array<Index, 3>>{
           {960, 64, 3}, {960, 0, 3}, {1536, 1000, 8}, {6144, 1024, 10}, {6144, 0, 8}}) {
    for (const Index rows : {1, 7, 500}) {
      check_retaining<cuda::Bfloat16>(rows, inputs, hidden, heads);
      check_retaining<cuda::Float16>(rows, inputs, hidden, heads);
    }
  }
  check_retaining<cuda::Bfloat16>(0, 960, 64, 3);
}

TEST_CASE("cuda: scores of a retaining head over more rows than it takes at a time") {
  check_retaining<cuda::Bfloat16>(2 * cuda::kRetainingRows + 1, 960, 64, 3);
}

TEST_CASE("cuda: query-aware scores", "[reduced]") {
  for (const Index head_dim : {64, 128}) {
    check_query_aware<cuda::Bfloat16>(1, 1, 1, 1, head_dim);
    check_query_aware<cuda::Bfloat16>(17, 301, 28, 4, head_dim);
    check_query_aware<cuda::Float16>(300, 50, 9, 3, head_dim);
  }
  check_query_aware<cuda::Bfloat16>(3, 0, 4, 2, 64);
}

TEST_CASE("cuda: random and recent scores are the reference's", "[reduced]") {
  const cuda::Stream stream;
  for (const Compressor compressor : {Compressor::kRandom, Compressor::kRecent}) {
    const Scores scores(1000, 3, stream);
    cuda::query_free_scores({compressor, 17, 5, 131000, 1000, 3}, scores.there.data(),
                            stream.get());
    ApbConfig config;
    config.compressor = compressor;
    config.seed = 17;
    config.num_kv_heads = 3;
    RankLayout block;
    block.block_begin = 131000;
    block.block_len = 1000;
    const Matrix<double> expected = query_free_scores<float>(config, block, 5).cast<double>();
    CHECK(scores.read(stream) == expected);
  }
}

TEST_CASE("cuda: scores that cannot be are refused with one line") {
  CHECK(refusal([] {
          cuda::query_free_scores({Compressor::kNone, 0, 0, 0, 1, 1}, nullptr, nullptr);
        }) == "cuda query-free scores: compressor = none: must be random or recent");
  CHECK(refusal([] {
          cuda::query_aware_scores<cuda::Bfloat16>({nullptr, 0, 4, 64, 256, 64},
                                                   {nullptr, 1, 2, 64, 128, 64}, nullptr, nullptr,
                                                   nullptr);
        }) == "cuda query-aware scores: query rows = 0: must be at least 1");
}

}  // namespace apb
