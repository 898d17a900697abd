// Attention at the paper's full shapes: sampled rows of some heads against the truth in double, by
// the contract's budget. Values are made on the device; outputs are NaN beforehand.

#include <algorithm>
#include <cmath>

#include "cuda/attention/three_segments.hpp"
#include "cuda/benchmarks/random_values.hpp"
#include "cuda/device_buffer.hpp"
#include "cuda/stream.hpp"
#include "tests/cuda/host_rows.hpp"
#include "tests/cuda/row_budget.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

using cuda::Bfloat16;
using cuda::DeviceBuffer;
using cuda::DeviceHeads;
using cuda::DeviceRows;

constexpr Index kHeadDim = 128;
/// Scores have a deviation of 2.25: some 1 in 150 keys count.
constexpr double kDeviation = 1.5;

struct RankShape {
  Index num_q_heads, num_kv_heads;
  Index anchor_rows, slices, kept, block_rows;

  [[nodiscard]] Index rows() const { return anchor_rows + block_rows; }
  [[nodiscard]] Index columns() const { return (num_q_heads + 2 * num_kv_heads) * kHeadDim; }
};

template <class T>
DeviceBuffer<T> all_nan(Index count, cudaStream_t stream) {
  DeviceBuffer<T> buffer(static_cast<std::size_t>(count));
  cuda::check(cudaMemsetAsync(buffer.data(), 0xff, buffer.size() * sizeof(T), stream));
  return buffer;
}

/// One rank's rows and what is passed to it, where prefill has them: a fused product [rows, q, k, v
/// heads] and an all-gather's buffer [slices][2][num_kv_heads][kept][head_dim].
class RankOnDevice {
 public:
  explicit RankOnDevice(const RankShape& shape)
      : shape_(shape),
        qkv_(static_cast<std::size_t>(shape.rows() * shape.columns())),
        gathered_(static_cast<std::size_t>(shape.slices * 2 * shape.num_kv_heads * shape.kept *
                                           kHeadDim)),
        out_(all_nan<Bfloat16>(shape.rows() * shape.num_q_heads * kHeadDim, stream_.get())),
        lse_(all_nan<float>(shape.rows() * shape.num_q_heads, stream_.get())) {
    fill(qkv_, 51);
    fill(gathered_, 52);
  }

  void attend() const {
    const Index anchor = shape_.anchor_rows;
    std::vector<cuda::KeysAndValues<Bfloat16>> passing;
    for (Index slice = 0; slice < shape_.slices; ++slice) {
      const auto entries = [&](Index half) {
        return DeviceHeads<const Bfloat16>::heads_first(passed(slice, half, 0).data, shape_.kept,
                                                        shape_.num_kv_heads, kHeadDim, shape_.kept);
      };
      passing.push_back({entries(0), entries(1)});
    }
    cuda::attend<Bfloat16>({.anchor_rows = part_rows(0, anchor),
                            .block_rows = part_rows(anchor, shape_.block_rows),
                            .anchor = part_keys(0, anchor),
                            .block = part_keys(anchor, shape_.block_rows),
                            .passing = passing,
                            .softmax_scale = 1 / std::sqrt(double{kHeadDim})},
                           stream_.get());
  }

  /// Columns of one head of the fused product; heads count queries, keys, values.
  [[nodiscard]] DeviceRows<const Bfloat16> head(Index its) const {
    return DeviceRows<const Bfloat16>::dense(qkv_.data(), shape_.rows(), shape_.columns())
        .part(its * kHeadDim, kHeadDim);
  }
  /// Keys (half 0) or values (half 1) of one KV head that one lower rank passes.
  [[nodiscard]] DeviceRows<const Bfloat16> passed(Index slice, Index half, Index kv_head) const {
    const Index place = (slice * 2 + half) * shape_.num_kv_heads + kv_head;
    return DeviceRows<const Bfloat16>::dense(gathered_.data() + place * shape_.kept * kHeadDim,
                                             shape_.kept, kHeadDim);
  }
  [[nodiscard]] DeviceRows<const Bfloat16> out() const {
    return DeviceRows<const Bfloat16>::dense(out_.data(), shape_.rows(),
                                             shape_.num_q_heads * kHeadDim);
  }
  [[nodiscard]] DeviceRows<const float> lse() const {
    return DeviceRows<const float>::dense(lse_.data(), shape_.rows(), shape_.num_q_heads);
  }
  [[nodiscard]] const RankShape& shape() const { return shape_; }
  [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }

 private:
  void fill(const DeviceBuffer<Bfloat16>& buffer, std::uint64_t seed) const {
    cuda::fill_normal(buffer.data(), static_cast<Index>(buffer.size()), kDeviation, seed,
                      stream_.get());
  }
  [[nodiscard]] DeviceHeads<const Bfloat16> heads(Index first, Index rows, Index first_head,
                                                  Index count) const {
    return {qkv_.data() + first * shape_.columns() + first_head * kHeadDim,
            rows,
            count,
            kHeadDim,
            shape_.columns(),
            kHeadDim};
  }
  [[nodiscard]] cuda::KeysAndValues<Bfloat16> part_keys(Index first, Index rows) const {
    const Index kv = shape_.num_kv_heads;
    return {heads(first, rows, shape_.num_q_heads, kv),
            heads(first, rows, shape_.num_q_heads + kv, kv)};
  }
  [[nodiscard]] cuda::QueryRows<Bfloat16> part_rows(Index first, Index rows) const {
    const Index q = shape_.num_q_heads;
    return {
        heads(first, rows, 0, q),
        DeviceHeads<Bfloat16>::rows_first(out_.data() + first * q * kHeadDim, rows, q, kHeadDim),
        lse_.data() + first * q};
  }

  cuda::Stream stream_;
  RankShape shape_;
  DeviceBuffer<Bfloat16> qkv_, gathered_, out_;
  DeviceBuffer<float> lse_;
};

/// Host copies of the sampled rows of some heads, and of all keys that these heads read.
class Sample {
 public:
  Sample(const RankOnDevice& rank, std::vector<Index> rows, std::vector<Index> heads)
      : shape_(rank.shape()),
        rows_(std::move(rows)),
        heads_(std::move(heads)),
        out_(std::ssize(rows_), std::ssize(heads_), kHeadDim),
        lse_(host_rows(rank.lse(), rows_, rank.stream())) {
    query_ = Matrix<double>(std::ssize(rows_), width());
    own_[0] = own_[1] = Matrix<double>(shape_.rows(), width());
    passed_[0] = passed_[1] = Matrix<double>(shape_.slices * shape_.kept, width());
    Matrix<double> out(std::ssize(rows_), width()), lse(std::ssize(rows_), std::ssize(heads_));
    for (Index i = 0; i < std::ssize(heads_); ++i) {
      const Index head = heads_[static_cast<std::size_t>(i)], first = i * kHeadDim;
      query_.middleCols(first, kHeadDim) = host_rows(rank.head(head), rows_, rank.stream());
      out.middleCols(first, kHeadDim) =
          host_rows(rank.out().part(head * kHeadDim, kHeadDim), rows_, rank.stream());
      lse.col(i) = lse_.col(head);
      copy_keys(rank, head, first);
    }
    std::copy_n(out.data(), out.size(), out_.values().begin());
    lse_ = lse;
  }

  /// \param slices that block rows see: the truth is that of all
  [[nodiscard]] bool is_right(Index slices) const {
    const AttentionSetup setup = this->setup(slices);
    const std::vector<Index> rows = count_up(std::ssize(rows_)),
                             heads = count_up(setup.query.heads);
    const BudgetUse use = budget_use(ValueType::kBfloat16, setup, rows, heads, out_, lse_);
    UNSCOPED_INFO("shares of the budget: " << use);
    return use.is_right();
  }

 private:
  [[nodiscard]] Index width() const { return std::ssize(heads_) * kHeadDim; }

  void copy_keys(const RankOnDevice& rank, Index head, Index first_column) {
    const Index kv_head = head / (shape_.num_q_heads / shape_.num_kv_heads);
    for (Index half = 0; half < 2; ++half) {
      const auto place = static_cast<std::size_t>(half);
      own_.at(place).middleCols(first_column, kHeadDim) = host_rows(
          rank.head(shape_.num_q_heads + half * shape_.num_kv_heads + kv_head), rank.stream());
      for (Index slice = 0; slice < shape_.slices; ++slice) {
        passed_.at(place).block(slice * shape_.kept, first_column, shape_.kept, kHeadDim) =
            host_rows(rank.passed(slice, half, kv_head), rank.stream());
      }
    }
  }

  [[nodiscard]] AttentionSetup setup(Index slices) const {
    const auto view = [&](const Matrix<double>& matrix, Index first, Index rows) {
      return HeadsView<const double>{matrix.data() + first * width(), rows, std::ssize(heads_),
                                     kHeadDim, width()};
    };
    const auto row_of = [this](Index i) { return rows_[static_cast<std::size_t>(i)]; };
    const Index anchor = shape_.anchor_rows, block = shape_.block_rows;
    AttentionSetup setup;
    setup.query = view(query_, 0, query_.rows());
    setup.softmax_scale = 1 / std::sqrt(double{kHeadDim});
    setup.kv_head = [](Index head) { return head; };
    setup.keys = {
        {view(own_[0], 0, anchor), view(own_[1], 0, anchor),
         [=](Index i) { return std::min(row_of(i) + 1, anchor); }},
        {view(passed_[0], 0, slices * shape_.kept), view(passed_[1], 0, slices * shape_.kept),
         [=](Index i) { return row_of(i) < anchor ? 0 : kWhole; }},
        {view(own_[0], anchor, block), view(own_[1], anchor, block),
         [=](Index i) { return std::max<Index>(0, row_of(i) - anchor + 1); }}};
    return setup;
  }

  RankShape shape_;
  std::vector<Index> rows_, heads_;
  HeadsTensor<double> out_;                     ///< [sampled rows, sampled heads, head_dim]
  Matrix<double> lse_;                          ///< [sampled rows, sampled heads]
  Matrix<double> query_;                        ///< [sampled rows, sampled heads * head_dim]
  std::array<Matrix<double>, 2> own_, passed_;  ///< keys and values of those heads' KV heads
};

/// First and last rows of a part, those around the edges of tiles, and some at random.
void add_rows(std::vector<Index>& sample, Index first, Index rows, Index random_rows) {
  for (const Index row : {Index{0}, Index{1}, Index{63}, Index{64}, Index{127}, Index{128},
                          rows / 2 - 1, rows / 2, rows - 1}) {
    sample.push_back(first + row);
  }
  RandomTensors random(static_cast<std::uint64_t>(53 + first));
  for (Index i = 0; i < random_rows; ++i) sample.push_back(first + random.below(rows));
}

}  // namespace

TEST_CASE("cuda: rank 7 of 8 at 128K, Llama's, Qwen's and Yi's heads, sampled rows", "[paper]") {
  for (const Index num_q_heads : {32, 40, 56}) {
    const RankOnDevice rank({num_q_heads, 8, 4096, 7, 2048, 16384});
    rank.attend();
    std::vector<Index> rows;
    add_rows(rows, 0, 4096, 7);
    add_rows(rows, 4096, 16384, 7);
    const Sample sample(rank, rows, {0, num_q_heads / 8, num_q_heads - 1});
    INFO(num_q_heads << " query heads");
    CHECK(sample.is_right(7));
    if (num_q_heads == 32) CHECK_FALSE(sample.is_right(6));
  }
}

TEST_CASE("cuda: Full's attention of 131,072 rows, sampled rows", "[paper]") {
  const RankOnDevice rank({32, 8, 0, 0, 0, 131072});
  rank.attend();
  const Sample sample(rank, {0, 1, 127, 65535, 65536, 100003, 131070, 131071}, {0, 31});
  CHECK(sample.is_right(0));
}

}  // namespace apb
