// Decode on the GPU: query rows over each rank's cache, partials merged over pieces and ranks,
// against the double reference over all keys at once, within the budget of fp32.

#include <cmath>
#include <limits>

#include "cuda/decode/attend_cache.hpp"
#include "cuda/device_buffer.hpp"
#include "cuda/stream.hpp"
#include "reference/attention/merge.hpp"
#include "tests/cuda/attention_problem.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kSentinel = -12288;

struct DecodeShape {
  std::vector<Index> cached;  ///< keys of each rank
  Index rows = 1, num_q_heads = 4, num_kv_heads = 2, head_dim = 128;
  ValueType type = ValueType::kBfloat16;
};

/// The ranks' caches as the passing slices of a problem whose only own rows are the query's.
AttentionProblem decode_problem(const DecodeShape& shape, std::uint64_t seed) {
  AttentionProblem problem({0, shape.cached, shape.rows, shape.num_q_heads, shape.num_kv_heads,
                            shape.head_dim, shape.type},
                           seed);
  problem.skip_block_keys = true;
  return problem;
}

template <class T>
std::vector<T> rounded(const HeadsTensor<double>& tensor) {
  std::vector<T> values;
  for (const double value : tensor.values()) values.emplace_back(static_cast<float>(value));
  return values;
}

/// All ranks in turn on one GPU, their partials where an all-gather would put them, and the merge.
template <class T>
class DecodeOnDevice {
 public:
  explicit DecodeOnDevice(const AttentionProblem& problem)
      : problem_(problem),
        shape_{problem.shape.block_rows, problem.shape.num_q_heads, problem.shape.head_dim},
        query_(cuda::to_device(rounded<T>(problem.block_query), stream_.get())) {
    for (const HostKeys& cached : problem.passing) {
      HostKeys host = cached;
      if (appends(std::ssize(caches_))) {
        host.key.append(problem.block.key.view());
        host.value.append(problem.block.value.view());
      }
      caches_.push_back({host.key.rows(), cuda::to_device(rounded<T>(host.key), stream_.get()),
                         cuda::to_device(rounded<T>(host.value), stream_.get())});
    }
  }

  [[nodiscard]] RowResults run() const {
    const auto ranks = std::ssize(caches_);
    const auto gathered = all_nan(ranks * shape_.size());
    for (Index rank = 0; rank < ranks; ++rank) {
      const cuda::CacheAttention<T> call = call_of(rank);
      const auto workspace = all_nan(call.workspace_size());
      cuda::attend_cache(call, workspace.data(), gathered.data() + rank * shape_.size(),
                         stream_.get());
      stream_.synchronize();
    }
    const auto merged = all_nan(shape_.size());
    cuda::merge_partials(gathered.data(), ranks, shape_, merged.data(),
                         merged.data() + shape_.out_size(), stream_.get());
    const std::vector<float> host = cuda::to_host(merged, stream_.get());
    RowResults results{{shape_.rows, shape_.num_q_heads, shape_.head_dim},
                       {shape_.rows, shape_.num_q_heads}};
    std::copy_n(host.begin(), shape_.out_size(), results.out.values().begin());
    std::copy_n(host.begin() + shape_.out_size(), results.lse.size(), results.lse.data());
    return results;
  }

 private:
  struct Cache {
    Index rows;
    cuda::DeviceBuffer<T> key, value;
  };

  /// Whether a rank's cache ends with the query's own keys.
  [[nodiscard]] bool appends(Index rank) const {
    return !problem_.skip_block_keys && rank == std::ssize(problem_.passing) - 1;
  }
  [[nodiscard]] cuda::DeviceBuffer<float> all_nan(Index count) const {
    return cuda::to_device(std::vector<float>(static_cast<std::size_t>(count), kNaN),
                           stream_.get());
  }
  [[nodiscard]] cuda::CacheAttention<T> call_of(Index rank) const {
    const Cache& cache = caches_[static_cast<std::size_t>(rank)];
    const auto heads = [&](const cuda::DeviceBuffer<T>& there, Index rows, Index count) {
      return cuda::DeviceHeads<const T>::rows_first(there.data(), rows, count, shape_.head_dim);
    };
    const Index kv_heads = problem_.shape.num_kv_heads;
    return {heads(query_, shape_.rows, shape_.num_q_heads),
            {heads(cache.key, cache.rows, kv_heads), heads(cache.value, cache.rows, kv_heads)},
            problem_.softmax_scale,
            appends(rank) ? shape_.rows : 0};
  }

  cuda::Stream stream_;
  const AttentionProblem& problem_;
  cuda::PartialShape shape_;
  cuda::DeviceBuffer<T> query_;
  std::vector<Cache> caches_;
};

RowResults decode(const AttentionProblem& problem) {
  return problem.shape.type == ValueType::kBfloat16 ? DecodeOnDevice<cuda::Bfloat16>(problem).run()
                                                    : DecodeOnDevice<cuda::Float16>(problem).run();
}

void check_decode(const AttentionProblem& problem) {
  const RowResults results = decode(problem);
  const BudgetUse use =
      budget_use(ValueType::kFloat32, problem.block_query.view(), problem.block_segments(),
                 problem.softmax_scale, results.out, results.lse);
  INFO(problem.shape.num_q_heads << " heads of " << problem.shape.head_dim << ", "
                                 << to_string(problem.shape.type) << ": " << use);
  CHECK(use.is_right());
}

/// Partials as merge_partials reads them, [part][out, lse].
std::vector<float> in_memory(const std::vector<AttentionPartial<double>>& parts) {
  std::vector<float> memory;
  for (const auto& part : parts) {
    for (const double value : part.out.values()) memory.push_back(static_cast<float>(value));
    for (Index i = 0; i < part.lse.size(); ++i) {
      memory.push_back(static_cast<float>(part.lse.data()[i]));
    }
  }
  return memory;
}

}  // namespace

TEST_CASE("cuda: decode over caches of any length on any rank") {
  for (const ValueType type : {ValueType::kBfloat16, ValueType::kFloat16}) {
    for (const Index head_dim : {64, 128}) {
      for (const auto& cached : std::vector<std::vector<Index>>{
               {1}, {255}, {256}, {257}, {0, 5}, {31, 0, 513}, {9000, 64, 0, 0}, {0}, {0, 0}}) {
        check_decode(decode_problem({cached, 1, 4, 2, head_dim, type}, 41));
        check_decode(decode_problem({cached, 3, 4, 2, head_dim, type}, 42));
      }
      for (const auto& [q_heads, kv_heads] :
           std::vector<std::pair<Index, Index>>{{1, 1}, {32, 8}, {28, 4}, {40, 8}, {20, 1}}) {
        check_decode(decode_problem({{700, 90}, 2, q_heads, kv_heads, head_dim, type}, 43));
      }
    }
  }
}

TEST_CASE("cuda: query rows see their own keys causally, on the rank that holds them",
          "[reduced]") {
  for (const Index rows : {1, 2, 31, 300}) {
    for (const auto& cached : std::vector<std::vector<Index>>{{0}, {700, 255}, {40, 0}}) {
      AttentionProblem problem = decode_problem({cached, rows}, 49);
      problem.skip_block_keys = false;
      check_decode(problem);
    }
  }
}

TEST_CASE("cuda: decode with scores of -inf, +inf and NaN, and NaN in a value", "[reduced]") {
  for (const float special : {kNaN, kInfinity, -kInfinity}) {
    AttentionProblem problem = decode_problem({{600, 40}}, 44);
    for (double& element : problem.block_query.values()) element = std::abs(element) + 0.125;
    problem.round_inputs();
    for (Index head = 0; head < 2; ++head) {
      for (Index i = 0; i < 128; ++i) {
        problem.passing[0].key.view().at(531, head)[i] = static_cast<double>(special);
      }
    }
    check_decode(problem);
  }
  AttentionProblem problem = decode_problem({{600, 40}}, 45);
  problem.passing[1].value.view().at(7, 1)[5] = static_cast<double>(kNaN);
  check_decode(problem);
}

TEST_CASE("cuda: decode gives the same bits a hundred times") {
  const AttentionProblem problem = decode_problem({{5000, 300}, 2, 32, 8}, 46);
  const DecodeOnDevice<cuda::Bfloat16> on_device(problem);
  const RowResults first = on_device.run();
  bool same = true;
  for (int run = 1; run < 100; ++run) {
    const RowResults again = on_device.run();
    same &= bit_equal(first.out, again.out) && bit_equal(first.lse, again.lse);
  }
  CHECK(same);
}

// Bug list 3: merges with empty ranks, and lse beyond the range of exp.
TEST_CASE("cuda: merges with empty ranks and huge lse", "[reduced]") {
  const cuda::PartialShape shape{3, 5, 70};
  for (const double level : {0.0, 88.0, 1e4, -1e4, 1e30}) {
    for (const unsigned empty : {0U, 1U, 2U, 5U, 7U}) {  // a bit a rank
      RandomTensors random(static_cast<std::uint64_t>(47 + empty));
      std::vector<AttentionPartial<double>> parts;
      for (unsigned rank = 0; rank < 3; ++rank) {
        auto& part = parts.emplace_back(shape.rows, shape.num_q_heads, shape.head_dim);
        part.out = random.heads<double>(shape.rows, shape.num_q_heads, shape.head_dim);
        part.lse = random.matrix<double>(shape.rows, shape.num_q_heads).array() * 3 + level;
        for (double& value : part.out.values()) value = round_to(ValueType::kFloat32, value);
        for (Index i = 0; i < part.lse.size(); ++i) {
          part.lse.data()[i] = round_to(ValueType::kFloat32, part.lse.data()[i]);
        }
        if ((empty >> rank & 1) != 0) {
          part.lse.setConstant(-static_cast<double>(kInfinity));
          // What an empty part's out holds never matters.
          for (double& value : part.out.values()) value = static_cast<double>(kNaN);
        }
      }
      const AttentionPartial<double> expected = merge_partials<double>(parts);
      const cuda::Stream stream;
      const auto memory = cuda::to_device(in_memory(parts), stream.get());
      // In place: the result takes the first part's room.
      cuda::merge_partials(memory.data(), 3, shape, memory.data(), memory.data() + shape.out_size(),
                           stream.get());
      const auto host = cuda::to_host(memory, stream.get());
      AttentionPartial<double> found(shape.rows, shape.num_q_heads, shape.head_dim);
      std::copy_n(host.begin(), shape.out_size(), found.out.values().begin());
      std::copy_n(host.begin() + shape.out_size(), found.lse.size(), found.lse.data());
      INFO("lse about " << level << ", empty ranks " << empty);
      CHECK(compare(found.out, expected.out) <= 4 * 0x1p-23);
      CHECK(compare(found.lse, expected.lse) <= 0x1p-22 * std::max(1.0, std::abs(level)));
    }
  }
}

TEST_CASE("cuda: a merge of as many parts as there may be") {
  const cuda::PartialShape shape{1, 1, 130};
  std::vector<float> parts;
  for (Index part = 0; part < cuda::kMaxParts; ++part) {
    parts.insert(parts.end(), 130, static_cast<float>(part % 3));
    parts.push_back(part % 5 == 0 ? -kInfinity : 7.0F);
  }
  double sum = 0, count = 0;
  for (Index part = 0; part < cuda::kMaxParts; ++part) {
    if (part % 5 == 0) continue;
    sum += static_cast<double>(part % 3);
    ++count;
  }
  const cuda::Stream stream;
  const auto memory = cuda::to_device(parts, stream.get());
  const auto merged = cuda::to_device(std::vector<float>(131, kSentinel), stream.get());
  cuda::merge_partials(memory.data(), cuda::kMaxParts, shape, merged.data(), merged.data() + 130,
                       stream.get());
  const auto found = cuda::to_host(merged, stream.get());
  CHECK(std::abs(static_cast<double>(found[129]) - sum / count) <= 0x1p-23);
  CHECK(std::abs(static_cast<double>(found[130]) - (7 + std::log(count))) <= 0x1p-19);
}

TEST_CASE("cuda: a merge is rounded once, to the type of the model", "[reduced]") {
  const cuda::PartialShape shape{1, 2, 64};
  std::vector<float> parts;
  for (const float value : {1.0F, 1.0F + 0x1p-7F}) {
    parts.insert(parts.end(), 128, value);
    parts.insert(parts.end(), 2, 3.0F);
  }
  const cuda::Stream stream;
  const auto memory = cuda::to_device(parts, stream.get());
  const auto out = cuda::to_device(std::vector<cuda::Float16>(128, kSentinel), stream.get());
  const auto lse = cuda::to_device(std::vector<float>(2, kSentinel), stream.get());
  cuda::merge_partials(memory.data(), 2, shape, out.data(), lse.data(), stream.get());
  for (const auto value : cuda::to_host(out, stream.get())) {
    CHECK(static_cast<float>(value) == 1.0F + 0x1p-8F);
  }
  CHECK(std::abs(cuda::to_host(lse, stream.get())[1] - (3 + std::log(2.0F))) <= 0x1p-21F);
}

TEST_CASE("cuda: what decode and merge cannot take is refused with one line") {
  CHECK(refusal([] {
          (void)decode(decode_problem({{4}, 1, 4, 2, 80}, 48));
        }) == "cuda decode: head_dim = 80: must be 64 or 128");
  CHECK(refusal([] {
          cuda::CacheAttention<cuda::Bfloat16> call;
          call.query = {nullptr, 3, 2, 64, 128, 64};
          call.cache.key = call.cache.value = {nullptr, 9, 2, 64, 128, 64};
          call.own_keys = 2;
          cuda::attend_cache(call, nullptr, nullptr, nullptr);
        }) ==
        "cuda decode: own keys = 2: must be 0, or as many as query rows (3) if the cache holds "
        "them");
  CHECK(refusal([] {
          cuda::merge_partials<float>(nullptr, 0, {1, 1, 64}, nullptr, nullptr, nullptr);
        }) == "cuda merge: parts = 0: must be 1 to 8192");
}

}  // namespace apb
