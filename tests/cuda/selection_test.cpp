// Selection on the GPU: the reference's rows, in its order, on the same bits, whatever the scores;
// and the kept keys and values in the send buffer, bit for bit. Outputs are filled beforehand with
// what no right result has, and end in a guard.

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "cuda/device_buffer.hpp"
#include "cuda/selection/pool_importance.hpp"
#include "cuda/selection/select_and_pack.hpp"
#include "cuda/stream.hpp"
#include "reference/attention/selection.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/support/refusal.hpp"

namespace apb {
namespace {

using cuda::Bfloat16;
using cuda::Float16;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr Index kSentinel = -77;
constexpr std::size_t kGuard = 64;

/// Bits of a 16-bit element.
using Bits = std::uint16_t;

struct Selected {
  std::vector<Index> positions;  ///< [heads, kept], then the guard
  std::vector<Bits> buffer;      ///< [2, heads, capacity, head_dim], then the guard
  std::vector<Index> nan_counts;
};

struct SelectionCase {
  Index rows = 0, heads = 1, head_dim = 8, num_kept = 0, capacity = 0;
  std::vector<float> importance;  ///< [rows, heads], exactly representable in the stored type
  std::vector<Bits> key, value;   ///< [rows, heads, head_dim]: any bits

  SelectionCase(Index its_rows, Index its_heads, Index kept)
      : rows(its_rows), heads(its_heads), num_kept(kept), capacity(kept + 3) {
    const auto bits = [&](unsigned seed) {
      std::vector<Bits> all(static_cast<std::size_t>(rows * heads * head_dim));
      for (std::size_t i = 0; i < all.size(); ++i) {
        all[i] = static_cast<Bits>((i + seed) * 2654435761U >> 7);
      }
      return all;
    };
    key = bits(1);
    value = bits(99991);
  }

  template <class Score>
  void round() {
    for (float& score : importance) score = static_cast<float>(Score(score));
  }

  template <class Score>
  [[nodiscard]] Selected run(Index first_doc_pos = 0) const {
    const cuda::Stream stream;
    std::vector<Score> scores;
    for (const float score : importance) scores.emplace_back(score);
    const auto scores_there = cuda::to_device(scores, stream.get());
    const auto key_there = cuda::to_device(key, stream.get());
    const auto value_there = cuda::to_device(value, stream.get());
    const auto slots = static_cast<std::size_t>(2 * heads * capacity * head_dim);
    const auto positions = cuda::to_device(
        std::vector<Index>(static_cast<std::size_t>(heads * num_kept) + kGuard, kSentinel),
        stream.get());
    const auto buffer =
        cuda::to_device(std::vector<Bits>(slots + kGuard, Bits{0x7FFF}), stream.get());
    const auto nans = cuda::to_device(
        std::vector<Index>(static_cast<std::size_t>(heads), kSentinel), stream.get());

    const auto entries = [&](const cuda::DeviceBuffer<Bits>& there) {
      return cuda::DeviceHeads<const Bfloat16>::rows_first(
          reinterpret_cast<const Bfloat16*>(there.data()), rows, heads, head_dim);
    };
    cuda::select_and_pack<Score, Bfloat16>(
        {scores_there.data(), heads, {entries(key_there), entries(value_there)}, first_doc_pos},
        {num_kept, capacity, reinterpret_cast<Bfloat16*>(buffer.data()), positions.data(),
         nans.data()},
        stream.get());
    return {cuda::to_host(positions, stream.get()), cuda::to_host(buffer, stream.get()),
            cuda::to_host(nans, stream.get())};
  }

  /// What the reference selects, and the buffer that follows.
  [[nodiscard]] Selected expected(Index first_doc_pos = 0) const {
    Selected right;
    const auto slots = static_cast<std::size_t>(2 * heads * capacity * head_dim);
    right.buffer.assign(slots, 0);
    for (Index head = 0; head < heads; ++head) {
      std::vector<float> values;
      for (Index row = 0; row < rows; ++row) {
        values.push_back(importance[static_cast<std::size_t>(row * heads + head)]);
      }
      std::int64_t nan_count = 0;
      const auto kept = select_top_k<float>(values, num_kept, nan_count);
      right.nan_counts.push_back(nan_count);
      for (std::size_t i = 0; i < kept.size(); ++i) {
        right.positions.push_back(first_doc_pos + kept[i]);
        const auto place = static_cast<Index>(i);
        copy_row(key, kept[i], head, right.buffer, head * capacity + place);
        copy_row(value, kept[i], head, right.buffer, (heads + head) * capacity + place);
      }
    }
    right.positions.insert(right.positions.end(), kGuard, kSentinel);
    right.buffer.insert(right.buffer.end(), kGuard, Bits{0x7FFF});
    return right;
  }

 private:
  void copy_row(const std::vector<Bits>& from, Index row, Index head, std::vector<Bits>& to,
                Index to_row) const {
    std::copy_n(from.begin() + (row * heads + head) * head_dim, head_dim,
                to.begin() + to_row * head_dim);
  }
};

bool operator==(const Selected& a, const Selected& b) {
  return a.positions == b.positions && a.buffer == b.buffer && a.nan_counts == b.nan_counts;
}

/// Scores that have made some kernel wrong, or might.
struct Distribution {
  const char* name;
  float (*score)(RandomTensors& random, Index row, Index rows);
};

const Distribution kDistributions[] = {
    {"uniform", [](RandomTensors& random, Index, Index) { return float(random.uniform()); }},
    {"all equal", [](RandomTensors&, Index, Index) { return 0.5F; }},
    {"two values",
     [](RandomTensors& random, Index, Index) { return random.below(2) == 0 ? 1.0F : 2.0F; }},
    {"thousands of values that share their upper bits",
     [](RandomTensors& random, Index, Index) {
       return 1.0F + 0x1p-23F * static_cast<float>(random.below(8192));
     }},
    {"low contrast",
     [](RandomTensors& random, Index, Index) { return 100.0F + 1e-3F * float(random.uniform()); }},
    {"zeros of both signs after a ReLU",
     [](RandomTensors& random, Index, Index) {
       const auto x = static_cast<float>(random.uniform());
       return x > 0.9F ? x : (random.below(2) == 0 ? 0.0F : -0.0F);
     }},
    {"all -inf", [](RandomTensors&, Index, Index) { return -kInfinity; }},
    {"all NaN", [](RandomTensors&, Index, Index) { return kNaN; }},
    {"NaN and infinities among a few numbers",
     [](RandomTensors& random, Index, Index) {
       const float some[] = {kNaN, -kNaN, kInfinity, -kInfinity, 0.0F, -0.0F, 1.0F, -1.0F};
       return some[random.below(8)];
     }},
    {"ascending", [](RandomTensors&, Index row, Index) { return static_cast<float>(row); }},
    {"descending",
     [](RandomTensors&, Index row, Index rows) { return static_cast<float>(rows - row); }},
    {"runs of five, as a max-pool makes them",
     [](RandomTensors&, Index row, Index) {
       return static_cast<float>((row / 5) * 7919 % 1009) / 1009.0F - 0.5F;
     }},
    {"denormal", [](RandomTensors& random, Index,
                    Index) { return 0x1p-149F * static_cast<float>(random.below(1000) - 500); }},
    {"all different, sharing their upper 16 bits",
     [](RandomTensors&, Index row, Index) {
       return std::bit_cast<float>(0x3F800000U |
                                   (static_cast<std::uint32_t>(row) * 40503U & 0xFFFFU));
     }},
    {"all different, sharing their upper 8 bits",
     [](RandomTensors&, Index row, Index) {
       const std::uint32_t low = static_cast<std::uint32_t>(row) * 2654435761U & 0xFFFFFFU;
       return std::bit_cast<float>(0x3F000000U | low);
     }},
    {"some above, then more equal ones than are kept",
     [](RandomTensors& random, Index, Index) {
       const Index kind = random.below(8);
       return kind == 0 ? 1.5F + 0.25F * float(random.uniform()) : kind < 7 ? 1.0F : 0.25F;
     }},
    {"NaN, but for a few numbers and zeros of both signs",
     [](RandomTensors& random, Index, Index) {
       const float some[] = {0.0F, -0.0F, 1.0F, -1.0F};
       return random.below(8) == 0 ? some[random.below(4)] : kNaN;
     }},
    {"every magnitude",
     [](RandomTensors& random, Index, Index) {
       return std::ldexp(float(random.uniform()), static_cast<int>(random.below(240)) - 120);
     }},
};

template <class Score>
void check_distributions(Index rows, Index heads, Index kept) {
  std::uint64_t seed = 0;
  SelectionCase its(rows, heads, kept);
  for (const auto& [name, score] : kDistributions) {
    RandomTensors random(++seed);
    its.importance.clear();
    for (Index i = 0; i < rows * heads; ++i) {
      its.importance.push_back(score(random, i / heads, rows));
    }
    its.template round<Score>();
    INFO(name << ": " << kept << " of " << rows << " rows, " << heads << " heads");
    CHECK(its.template run<Score>(1000) == its.expected(1000));
  }
}

}  // namespace

TEST_CASE("cuda: the same rows as the reference, at every length") {
  for (const Index rows : {0, 1, 2, 31, 32, 33, 1000, 1023, 1024, 1025, 2049}) {
    for (const Index kept : {Index{0}, Index{1}, rows / 3, rows - 1, rows}) {
      if (kept < 0 || kept > rows) continue;
      check_distributions<float>(rows, 3, kept);
    }
  }
}

TEST_CASE("cuda: the same rows as the reference, in every type of importance") {
  check_distributions<Bfloat16>(5000, 8, 1777);
  check_distributions<Float16>(5000, 8, 1777);
  check_distributions<Bfloat16>(16384, 8, 2048);
  check_distributions<Float16>(16384, 2, 8192);
  check_distributions<float>(16384, 8, 2048);
  check_distributions<float>(16448, 2, 2048);
}

// A cell of each kind, keys in shared memory or not, for compute-sanitizer.
TEST_CASE("cuda: the same rows as the reference, on a reduced grid", "[reduced]") {
  check_distributions<Bfloat16>(1500, 3, 400);
  check_distributions<Float16>(33, 2, 33);
  check_distributions<float>(70001, 1, 300);
}

// Keys of 70,000 rows and more do not fit in shared memory.
TEST_CASE("cuda: the same rows as the reference, of very many") {
  check_distributions<float>(57000, 1, 4096);
  check_distributions<float>(70001, 2, 16384);
  check_distributions<Bfloat16>(200003, 1, 16384);
  check_distributions<float>(1 << 20, 1, 16384);
  check_distributions<Bfloat16>(1 << 20, 1, 16384);
}

TEST_CASE("cuda: more KV heads than processors") {
  check_distributions<float>(777, 200, 100);
}

TEST_CASE("cuda: a hundred selections give the same bits") {
  RandomTensors random(5);
  SelectionCase its(16384, 8, 2048);
  for (Index i = 0; i < its.rows * its.heads; ++i) {
    its.importance.push_back(static_cast<float>(random.below(50)));
  }
  const Selected first = its.run<float>();
  bool same = first == its.expected();
  for (int run = 1; run < 100; ++run) same &= its.run<float>() == first;
  CHECK(same);
}

TEST_CASE("cuda: pooling is the reference's, rounded", "[reduced]") {
  for (const Index rows : {1, 2, 3, 4, 5, 6, 1000}) {
    for (const Index kernel : {1, 3, 5, 9, 2001}) {
      const Index heads = 3, excluded = rows / 4;
      RandomTensors random(static_cast<std::uint64_t>(rows * kernel));
      Matrix<float> scores = random.matrix<float>(rows, heads);
      for (Index i = 0; i < rows / 3; ++i) scores(random.below(rows), 1) = kNaN;
      scores(rows / 2, 0) = -0.0F;
      scores(rows / 3, 2) = -kInfinity;
      Matrix<float> expected = max_pool(scores, kernel);
      expected.topRows(excluded).setConstant(-kInfinity);

      const cuda::Stream stream;
      const auto there = cuda::to_device(
          std::vector<float>(scores.data(), scores.data() + scores.size()), stream.get());
      const cuda::DeviceBuffer<Bfloat16> importance(static_cast<std::size_t>(rows * heads));
      cuda::pool_importance<Bfloat16>(
          {there.data(), importance.data(), rows, heads, kernel, excluded}, stream.get());
      const auto found = cuda::to_host(importance, stream.get());
      bool same = true;
      for (Index i = 0; i < rows * heads; ++i) {
        const auto value = static_cast<float>(found[static_cast<std::size_t>(i)]);
        const auto right = static_cast<float>(Bfloat16(expected.data()[i]));
        same &= std::isnan(right) ? std::isnan(value)
                                  : value == right && std::signbit(value) == std::signbit(right);
      }
      INFO(rows << " rows, kernel " << kernel);
      CHECK(same);
    }
  }
}

TEST_CASE("cuda: what selection cannot take is refused with one line") {
  SelectionCase its(10, 1, 11);
  its.importance.assign(10, 1.0F);
  CHECK(refusal([&] { (void)its.run<float>(); }) ==
        "cuda selection: num_kept = 11: must be 0 to 10");
  its.num_kept = 10;
  its.capacity = 9;
  CHECK(refusal([&] { (void)its.run<float>(); }) ==
        "cuda selection: num_kept = 10: must be at most the capacity, 9");
}

}  // namespace apb
