#include "tests/cuda/attention_problem.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "cuda/attention/three_segments.hpp"
#include "cuda/device_buffer.hpp"
#include "cuda/stream.hpp"

namespace apb {
namespace {

using cuda::DeviceHeads;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
/// What outputs are filled with: a number that no right result has.
constexpr double kSentinel = -12288;

void fill(RandomTensors& random, HeadsTensor<double>& tensor, Index rows, Index heads,
          Index head_dim, double range) {
  tensor = random.heads<double>(rows, heads, head_dim);
  for (double& element : tensor.values()) element *= range;
}

/// Copies a tensor into host memory that will go to the device, [row * stride + head * apart].
template <class T>
void place(const HeadsTensor<double>& tensor, std::vector<T>& memory, Index first, Index row_stride,
           Index head_stride) {
  for (Index row = 0; row < tensor.rows(); ++row) {
    for (Index head = 0; head < tensor.heads(); ++head) {
      for (Index i = 0; i < tensor.head_dim(); ++i) {
        memory[static_cast<std::size_t>(first + row * row_stride + head * head_stride + i)] =
            static_cast<T>(static_cast<float>(tensor.view().at(row, head)[i]));
      }
    }
  }
}

/// Results of one part on the device, with room after every row and after the last, all sentinel.
template <class T>
class PoisonedResults {
 public:
  PoisonedResults(Index rows, Index heads, Index head_dim, cudaStream_t stream)
      : rows_(rows),
        heads_(heads),
        head_dim_(head_dim),
        stride_(heads * head_dim + 8),
        out_(cuda::to_device(
            std::vector<T>(static_cast<std::size_t>((rows + 3) * stride_), T(float(kSentinel))),
            stream)),
        lse_(cuda::to_device(
            std::vector<float>(static_cast<std::size_t>((rows + 3) * heads), float(kSentinel)),
            stream)) {}

  [[nodiscard]] DeviceHeads<T> out() const {
    return {out_.data(), rows_, heads_, head_dim_, stride_, head_dim_};
  }
  [[nodiscard]] float* lse() const { return lse_.data(); }

  /// Reads the results; `inside` becomes false if anything else has changed.
  [[nodiscard]] RowResults read(bool& inside, cudaStream_t stream) const {
    const std::vector<T> out = cuda::to_host(out_, stream);
    const std::vector<float> lse = cuda::to_host(lse_, stream);
    RowResults results{{rows_, heads_, head_dim_}, {rows_, heads_}};
    for (Index i = 0; i < std::ssize(out); ++i) {
      const Index row = i / stride_, column = i % stride_;
      const auto value = static_cast<double>(static_cast<float>(out[static_cast<std::size_t>(i)]));
      if (row < rows_ && column < heads_ * head_dim_) {
        results.out.view().at(row, column / head_dim_)[column % head_dim_] = value;
      } else {
        inside &= value == kSentinel;
      }
    }
    for (Index i = 0; i < std::ssize(lse); ++i) {
      const auto value = static_cast<double>(lse[static_cast<std::size_t>(i)]);
      if (i < rows_ * heads_) {
        results.lse(i / heads_, i % heads_) = value;
      } else {
        inside &= value == kSentinel;
      }
    }
    return results;
  }

 private:
  Index rows_, heads_, head_dim_, stride_;
  cuda::DeviceBuffer<T> out_;
  cuda::DeviceBuffer<float> lse_;
};

/// The own rows' queries, keys and values in one buffer [rows, (q, k, v heads) head_dim + 8].
template <class T>
class FusedRows {
 public:
  FusedRows(const AttentionProblem& problem, cudaStream_t stream) : shape_(problem.shape) {
    stride_ = (shape_.num_q_heads + 2 * shape_.num_kv_heads) * shape_.head_dim + 8;
    const Index rows = shape_.anchor_rows + shape_.block_rows + 2;
    std::vector<T> memory(static_cast<std::size_t>(rows * stride_), T(float(kNaN)));
    const Index d = shape_.head_dim, block = shape_.anchor_rows * stride_;
    place(problem.anchor_query, memory, 0, stride_, d);
    place(problem.anchor.key, memory, key_offset(), stride_, d);
    place(problem.anchor.value, memory, value_offset(), stride_, d);
    place(problem.block_query, memory, block, stride_, d);
    place(problem.block.key, memory, block + key_offset(), stride_, d);
    place(problem.block.value, memory, block + value_offset(), stride_, d);
    memory_ = cuda::to_device(memory, stream);
  }

  [[nodiscard]] DeviceHeads<const T> query(Index first, Index rows) const {
    return view(first, rows, 0, shape_.num_q_heads);
  }
  [[nodiscard]] cuda::KeysAndValues<T> keys(Index first, Index rows) const {
    return {view(first, rows, key_offset(), shape_.num_kv_heads),
            view(first, rows, value_offset(), shape_.num_kv_heads)};
  }

 private:
  [[nodiscard]] Index key_offset() const { return shape_.num_q_heads * shape_.head_dim; }
  [[nodiscard]] Index value_offset() const {
    return key_offset() + shape_.num_kv_heads * shape_.head_dim;
  }
  [[nodiscard]] DeviceHeads<const T> view(Index first, Index rows, Index offset,
                                          Index heads) const {
    return {memory_.data() + first * stride_ + offset,
            rows,
            heads,
            shape_.head_dim,
            stride_,
            shape_.head_dim};
  }

  ProblemShape shape_;
  Index stride_ = 0;
  cuda::DeviceBuffer<T> memory_;
};

/// The all-gather's buffer: per lower rank a slice [2][num_kv_heads][capacity][head_dim].
template <class T>
class GatheredSlices {
 public:
  GatheredSlices(const AttentionProblem& problem, cudaStream_t stream) {
    const ProblemShape& shape = problem.shape;
    Index capacity = 3;
    for (const Index kept : shape.kept) capacity = std::max(capacity, kept + 3);
    const Index half = shape.num_kv_heads * capacity * shape.head_dim;
    std::vector<T> memory(static_cast<std::size_t>(2 * half * std::ssize(shape.kept)),
                          T(float(kNaN)));
    for (std::size_t s = 0; s < shape.kept.size(); ++s) {
      const Index first = 2 * half * static_cast<Index>(s);
      const Index head_stride = capacity * shape.head_dim;
      place(problem.passing[s].key, memory, first, shape.head_dim, head_stride);
      place(problem.passing[s].value, memory, first + half, shape.head_dim, head_stride);
    }
    memory_ = cuda::to_device(memory, stream);
    for (std::size_t s = 0; s < shape.kept.size(); ++s) {
      const T* first = memory_.data() + 2 * half * static_cast<Index>(s);
      const auto slice = [&](const T* data) {
        return DeviceHeads<const T>::heads_first(data, shape.kept[s], shape.num_kv_heads,
                                                 shape.head_dim, capacity);
      };
      slices_.push_back({slice(first), slice(first + half)});
    }
  }
  [[nodiscard]] const std::vector<cuda::KeysAndValues<T>>& slices() const { return slices_; }

 private:
  cuda::DeviceBuffer<T> memory_;
  std::vector<cuda::KeysAndValues<T>> slices_;
};

template <class T>
std::vector<DeviceResults> runs_on_device(const AttentionProblem& problem, int runs) {
  const ProblemShape& shape = problem.shape;
  const cuda::Stream stream;
  const FusedRows<T> own(problem, stream.get());
  const GatheredSlices<T> gathered(problem, stream.get());
  const Index anchor_queries = problem.skip_anchor_rows ? 0 : shape.anchor_rows;
  std::vector<DeviceResults> all(static_cast<std::size_t>(runs));
  for (DeviceResults& results : all) {
    const PoisonedResults<T> anchor(anchor_queries, shape.num_q_heads, shape.head_dim,
                                    stream.get());
    const PoisonedResults<T> block(shape.block_rows, shape.num_q_heads, shape.head_dim,
                                   stream.get());
    cuda::ThreeSegments<T> call;
    call.anchor_rows = {own.query(0, anchor_queries), anchor.out(), anchor.lse()};
    call.block_rows = {own.query(shape.anchor_rows, shape.block_rows), block.out(), block.lse()};
    call.anchor = own.keys(0, shape.anchor_rows);
    call.block = own.keys(shape.anchor_rows, problem.skip_block_keys ? 0 : shape.block_rows);
    call.passing = gathered.slices();
    call.softmax_scale = problem.softmax_scale;
    cuda::attend(call, stream.get());
    results.anchor = anchor.read(results.stayed_inside, stream.get());
    results.block = block.read(results.stayed_inside, stream.get());
  }
  return all;
}

}  // namespace

AttentionProblem::AttentionProblem(const ProblemShape& its_shape, std::uint64_t seed, double range)
    : shape(its_shape), softmax_scale(1 / std::sqrt(static_cast<double>(its_shape.head_dim))) {
  RandomTensors random(seed);
  const auto keys = [&](HostKeys& part, Index rows) {
    fill(random, part.key, rows, shape.num_kv_heads, shape.head_dim, range);
    fill(random, part.value, rows, shape.num_kv_heads, shape.head_dim, range);
  };
  fill(random, anchor_query, shape.anchor_rows, shape.num_q_heads, shape.head_dim, range);
  fill(random, block_query, shape.block_rows, shape.num_q_heads, shape.head_dim, range);
  keys(anchor, shape.anchor_rows);
  keys(block, shape.block_rows);
  for (const Index kept : shape.kept) keys(passing.emplace_back(), kept);
  round_inputs();
}

void AttentionProblem::round_inputs() {
  const auto round = [&](HeadsTensor<double>& tensor) {
    for (double& element : tensor.values()) element = round_to(shape.type, element);
  };
  round(anchor_query);
  round(block_query);
  for (HostKeys* part : {&anchor, &block}) round(part->key), round(part->value);
  for (HostKeys& part : passing) round(part.key), round(part.value);
}

std::vector<KeySegment<double>> AttentionProblem::anchor_segments() const {
  return {{anchor.key.view(), anchor.value.view(), Visibility::kCausal}};
}

std::vector<KeySegment<double>> AttentionProblem::block_segments() const {
  std::vector<KeySegment<double>> segments;
  segments.push_back({anchor.key.view(), anchor.value.view(), Visibility::kAll});
  for (const HostKeys& part : passing) {
    segments.push_back({part.key.view(), part.value.view(), Visibility::kAll});
  }
  if (!skip_block_keys) {
    segments.push_back({block.key.view(), block.value.view(), Visibility::kCausal});
  }
  return segments;
}

std::vector<DeviceResults> AttentionProblem::runs(int count) const {
  return shape.type == ValueType::kBfloat16 ? runs_on_device<cuda::Bfloat16>(*this, count)
                                            : runs_on_device<cuda::Float16>(*this, count);
}

BudgetUse AttentionProblem::judge(const DeviceResults& results) const {
  const BudgetUse of_block = budget_use(shape.type, block_query.view(), block_segments(),
                                        softmax_scale, results.block.out, results.block.lse);
  if (skip_anchor_rows) return of_block;
  const BudgetUse of_anchor = budget_use(shape.type, anchor_query.view(), anchor_segments(),
                                         softmax_scale, results.anchor.out, results.anchor.lse);
  return of_block.is_right() ? of_anchor : of_block;
}

}  // namespace apb
