// Scores of a block by every compressor against the reference in double, on the same rounded
// inputs.

#include <algorithm>
#include <limits>

#include "cuda/benchmarks/random_values.hpp"
#include "cuda/selection/block_scores.hpp"
#include "cuda/selection/pool_importance.hpp"
#include "reference/attention/block_scores.hpp"
#include "reference/core/matrix_product.hpp"
#include "tests/cuda/device_matrix.hpp"
#include "tests/cuda/host_rows.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

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

/// Scores in double, the same of absolute values, and the fp32 roundings of a sum.
struct Expected {
  Matrix<double> scores, size;
  double roundings;
};

/// |found - expected| over roundings 2^-23 size where it is largest: fp32 sums, on tensor cores cut
/// off. Right is at most 1; infinite where something found is not finite.
double fp32_share(const Matrix<double>& found, const Expected& expected) {
  if (!found.allFinite()) return kInfinity;
  const Matrix<double> allowed = (expected.size * expected.roundings * 0x1p-23).array() + 1e-30;
  return ((found - expected.scores).cwiseAbs().array() / allowed.array()).maxCoeff();
}

void check_fp32(const Matrix<double>& found, const Expected& expected) {
  if (found.size() > 0) CHECK(fp32_share(found, expected) <= 1);
}

Expected expected_retaining(const RetainingHead<double>& head, const Matrix<double>& features) {
  Counters counters;
  Matrix<double> size(features.rows(), head.fc1.rows());
  multiply_transposed<double>(features.cwiseAbs(), head.fc1.cwiseAbs(), size);
  if (head.fc2.size() > 0) size = 1.1 * size * head.fc2.cwiseAbs().transpose();
  const Index hidden = head.fc2.cols();
  return {retaining_scores<double>(head, features, counters), size,
          static_cast<double>((features.cols() + hidden) / 16 + 16)};
}

/// \param query [query rows, q_heads * head_dim] \param key [rows, kv_heads * head_dim]
Expected expected_query_aware(const Matrix<double>& query, const Matrix<double>& key,
                              Index head_dim) {
  const auto heads = [&](const Matrix<double>& from) {
    return HeadsView<const double>{from.data(), from.rows(), from.cols() / head_dim, head_dim,
                                   from.cols()};
  };
  Counters counters;
  const Matrix<double> abs_query = query.cwiseAbs(), abs_key = key.cwiseAbs();
  return {query_aware_scores<double>(heads(query), heads(key), counters),
          query_aware_scores<double>(heads(abs_query), heads(abs_key), counters),
          static_cast<double>(head_dim / 32 + query.size() / std::max<Index>(1, key.cols()) + 8)};
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
  INFO(rows << " rows, " << inputs << " inputs, " << hidden << " units, " << heads << " heads");
  check_fp32(scores.read(stream), expected_retaining({fc1.host, fc2.host}, features.host));
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
  INFO(query_rows << " query rows, " << rows << " rows, " << q_heads << "/" << kv_heads);
  check_fp32(scores.read(stream), expected_query_aware(query.host, key.host, head_dim));
}

/// Llama-3.1-8B's block at 128K on 8 ranks: its fused product [rows, q, k, v heads].
struct PaperBlock {
  static constexpr Index kRows = 16384, kQHeads = 32, kKvHeads = 8, kHeadDim = 128;
  static constexpr Index kColumns = (kQHeads + 2 * kKvHeads) * kHeadDim, kPool = 5;
  cuda::Stream stream;
  cuda::DeviceBuffer<cuda::Bfloat16> qkv = normal(kRows, kColumns, 1.5, 75);

  [[nodiscard]] cuda::DeviceBuffer<cuda::Bfloat16> normal(Index rows, Index columns,
                                                          double deviation,
                                                          std::uint64_t seed) const {
    cuda::DeviceBuffer<cuda::Bfloat16> values(static_cast<std::size_t>(rows * columns));
    cuda::fill_normal(values.data(), rows * columns, deviation, seed, stream.get());
    return values;
  }
  [[nodiscard]] cuda::DeviceRows<const cuda::Bfloat16> rows() const {
    return cuda::DeviceRows<const cuda::Bfloat16>::dense(qkv.data(), kRows, kColumns);
  }
  /// The rows that the pooled importance of some rows, the block's edges among them, comes from:
  /// kPool for each. Beyond an edge the edge's row stands again, which changes no maximum.
  [[nodiscard]] static std::vector<Index> windows(const std::vector<Index>& sample) {
    std::vector<Index> rows;
    for (const Index row : sample) {
      for (Index step = -kPool / 2; step <= kPool / 2; ++step) {
        rows.push_back(std::clamp<Index>(row + step, 0, kRows - 1));
      }
    }
    return rows;
  }
  /// Pools the scores on the device and judges the sampled rows. \param of_windows of windows()
  void check_importance(const Scores& scores, const std::vector<Index>& sample,
                        const Expected& of_windows) const {
    const Scores importance(kRows, kKvHeads, stream);
    cuda::pool_importance<float>(
        {scores.there.data(), importance.there.data(), kRows, kKvHeads, kPool, 0}, stream.get());
    const Matrix<double> all = importance.read(stream);
    Matrix<double> found(std::ssize(sample), kKvHeads);
    Expected expected{found, found, of_windows.roundings};
    for (Index i = 0; i < found.rows(); ++i) {
      found.row(i) = all.row(sample[static_cast<std::size_t>(i)]);
      expected.scores.row(i) = of_windows.scores.middleRows(i * kPool, kPool).colwise().maxCoeff();
      expected.size.row(i) = of_windows.size.middleRows(i * kPool, kPool).colwise().maxCoeff();
    }
    CHECK(fp32_share(found, expected) <= 1);
    CHECK(fp32_share(found.colwise().reverse(), expected) > 1);  // other rows' importance
  }
};

std::vector<Index> sampled_rows() {
  std::vector<Index> sample{0, 1, 2, 4095, 4096, 8191, 8192, 16381, 16382, 16383};
  RandomTensors random(76);
  for (int i = 0; i < 16; ++i) sample.push_back(random.below(PaperBlock::kRows));
  return sample;
}

}  // namespace

TEST_CASE("cuda: scores of a retaining head, two layers or one", "[reduced][products]") {
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

TEST_CASE("cuda: importance of a block of 16,384 rows by a retaining head, sampled rows",
          "[paper]") {
  const PaperBlock block;
  constexpr Index kHidden = 1024;
  const auto fc1 = block.normal(kHidden, PaperBlock::kColumns, 0.0128, 77);
  const auto fc2 = block.normal(PaperBlock::kKvHeads, kHidden, 0.03, 78);
  const cuda::DeviceRetainingHead<cuda::Bfloat16> head{fc1.data(), fc2.data(), PaperBlock::kColumns,
                                                       kHidden, PaperBlock::kKvHeads};
  const cuda::DeviceBuffer<float> workspace(
      static_cast<std::size_t>(cuda::retaining_workspace_size(head, PaperBlock::kRows)));
  const Scores scores(PaperBlock::kRows, PaperBlock::kKvHeads, block.stream);
  cuda::MatrixProducts products;
  cuda::retaining_head_scores(products, head, block.rows(), workspace.data(), scores.there.data(),
                              block.stream.get());
  const auto host = [&](const cuda::DeviceBuffer<cuda::Bfloat16>& weights, Index rows) {
    return host_rows(cuda::DeviceRows<const cuda::Bfloat16>::dense(
                         weights.data(), rows, static_cast<Index>(weights.size()) / rows),
                     block.stream.get());
  };
  const std::vector<Index> sample = sampled_rows();
  block.check_importance(
      scores, sample,
      expected_retaining({host(fc1, kHidden), host(fc2, PaperBlock::kKvHeads)},
                         host_rows(block.rows(), PaperBlock::windows(sample), block.stream.get())));
}

TEST_CASE("cuda: importance of a block of 16,384 rows by the query, sampled rows", "[paper]") {
  using Block = PaperBlock;
  constexpr Index kQueryRows = 32;
  const Block block;
  const auto query = block.normal(kQueryRows, Block::kQHeads * Block::kHeadDim, 1.5, 79);
  const Index key_column = Block::kQHeads * Block::kHeadDim;
  const cuda::DeviceBuffer<float> mean(static_cast<std::size_t>(Block::kKvHeads * Block::kHeadDim));
  const Scores scores(Block::kRows, Block::kKvHeads, block.stream);
  cuda::query_aware_scores<cuda::Bfloat16>(
      cuda::DeviceHeads<const cuda::Bfloat16>::rows_first(query.data(), kQueryRows, Block::kQHeads,
                                                          Block::kHeadDim),
      {block.qkv.data() + key_column, Block::kRows, Block::kKvHeads, Block::kHeadDim,
       Block::kColumns, Block::kHeadDim},
      mean.data(), scores.there.data(), block.stream.get());
  const std::vector<Index> sample = sampled_rows();
  block.check_importance(
      scores, sample,
      expected_query_aware(
          host_rows(
              cuda::DeviceRows<const cuda::Bfloat16>::dense(query.data(), kQueryRows, key_column),
              block.stream.get()),
          host_rows(block.rows().part(key_column, Block::kKvHeads * Block::kHeadDim),
                    Block::windows(sample), block.stream.get()),
          Block::kHeadDim));
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
