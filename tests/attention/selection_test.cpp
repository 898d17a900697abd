// Which entries are kept: exact order, ties, NaN, pooling, candidates.

#include "reference/attention/selection.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/support/special_values.hpp"

namespace apb {
namespace {

using Indices = std::vector<Index>;

template <class Scalar>
Indices top(const std::vector<Scalar>& values, Index count) {
  std::int64_t nan_count = 0;
  return select_top_k<Scalar>(values, count, nan_count);
}

/// Sorts all indices, stably, and takes the first: NaN below everything, larger values first.
template <class Scalar>
Indices naive_top(const std::vector<Scalar>& values, Index count) {
  Indices order(values.size());
  std::iota(order.begin(), order.end(), Index{0});
  std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
    const Scalar value_a = values[static_cast<std::size_t>(a)];
    const Scalar value_b = values[static_cast<std::size_t>(b)];
    if (std::isnan(value_a)) return false;
    return std::isnan(value_b) || value_a > value_b;
  });
  order.resize(static_cast<std::size_t>(std::min<Index>(count, std::ssize(order))));
  std::sort(order.begin(), order.end());
  return order;
}

/// Few distinct values, so that ties are common; special values among them.
template <class Scalar>
std::vector<Scalar> values_with_ties(RandomTensors& random, Index count) {
  const std::vector<Scalar> choices{
      0, Scalar{-0.0F}, 1, 1.5F, -2, kNanOf<Scalar>, -kInfOf<Scalar>, kInfOf<Scalar>};
  std::vector<Scalar> values;
  for (Index i = 0; i < count; ++i) {
    values.push_back(choices[static_cast<std::size_t>(random.below(std::ssize(choices)))]);
  }
  return values;
}

TEMPLATE_TEST_CASE("select_top_k equals a stable sort", "[selection]", float, double) {
  RandomTensors random(51);
  for (int round = 0; round < 2000; ++round) {
    const Index size = random.below(40);
    const auto values = values_with_ties<TestType>(random, size);
    const Index count = random.below(45);
    CAPTURE(values, count);
    CHECK(top(values, count) == naive_top(values, count));
  }
}

TEMPLATE_TEST_CASE("select_top_k: larger first, then lower index, -0 equals +0, NaN last",
                   "[selection]", float, double) {
  CHECK(top<TestType>({1, 3, 2}, 2) == Indices{1, 2});
  CHECK(top<TestType>({5, 5, 5, 5}, 2) == Indices{0, 1});
  CHECK(top<TestType>({-1, 0, TestType{-0.0F}, -1}, 1) == Indices{1});
  CHECK(top<TestType>({-1, TestType{-0.0F}, 0, -1}, 1) == Indices{1});
  CHECK(top<TestType>({kNanOf<TestType>, -kInfOf<TestType>, kNanOf<TestType>}, 1) == Indices{1});
  CHECK(top<TestType>({kNanOf<TestType>, -kInfOf<TestType>, kNanOf<TestType>}, 2) == Indices{0, 1});
  CHECK(top<TestType>({-kInfOf<TestType>, kInfOf<TestType>}, 1) == Indices{1});
  CHECK(top<TestType>({2, 1}, 5) == Indices{0, 1});
  CHECK(top<TestType>({2, 1}, 0).empty());
  CHECK(top<TestType>({}, 3).empty());
  const TestType next = std::nextafter(TestType{1}, TestType{2});
  CHECK(top<TestType>({1, next, 1}, 1) == Indices{1});
}

TEMPLATE_TEST_CASE("every NaN is counted, kept or not", "[selection]", float, double) {
  std::int64_t nan_count = 5;
  const std::vector<TestType> values{kNanOf<TestType>, 1, -kNanOf<TestType>, 2};
  CHECK(select_top_k<TestType>(values, 1, nan_count) == Indices{3});
  CHECK(nan_count == 7);
}

template <class Scalar>
Matrix<Scalar> naive_pool(const Matrix<Scalar>& scores, Index kernel) {
  Matrix<Scalar> pooled(scores.rows(), scores.cols());
  for (Index row = 0; row < scores.rows(); ++row) {
    for (Index column = 0; column < scores.cols(); ++column) {
      Scalar max = -kInfOf<Scalar>;
      for (Index near = row - kernel / 2; near <= row + kernel / 2; ++near) {
        if (near < 0 || near >= scores.rows()) continue;
        const Scalar score = scores(near, column);
        if (std::isnan(score) || std::isnan(max)) {
          max = kNanOf<Scalar>;
        } else {
          max = std::max(max, score);
        }
      }
      pooled(row, column) = max;
    }
  }
  return pooled;
}

TEMPLATE_TEST_CASE("max_pool equals the naive window, NaN included", "[selection]", float, double) {
  RandomTensors random(52);
  const Index kernel = GENERATE(1, 3, 5, 41, 1001);
  for (const Index rows : {0, 1, 2, 3, 4, 5, 6, 17, 40}) {
    CAPTURE(kernel, rows);
    auto scores = random.matrix<TestType>(rows, 3);
    for (const bool with_nan : {false, true}) {
      if (with_nan && rows > 0) {
        scores(random.below(rows), 0) = kNanOf<TestType>;
        scores(random.below(rows), 1) = kNanOf<TestType>;
        scores(random.below(rows), 2) = -kInfOf<TestType>;
      }
      const auto pooled = max_pool(scores, kernel);
      const auto expected = naive_pool(scores, kernel);
      CHECK(pooled.cols() == 3);
      CHECK(compare_same_nan(pooled, expected) <= 0);
    }
  }
}

RankLayout block_of(Index block_begin, Index block_len, Index excluded, Index num_kept) {
  RankLayout layout;
  layout.block_begin = block_begin;
  layout.block_len = block_len;
  layout.candidate_begin = block_begin + excluded;
  layout.num_kept = num_kept;
  return layout;
}

TEMPLATE_TEST_CASE("select_block: pooled over the whole block, then only candidates", "[selection]",
                   float, double) {
  // Row 1 is no candidate, yet its score reaches row 2 through the pool of 3.
  Matrix<TestType> scores(6, 2);
  scores.col(0) << 0, 9, 1, 2, 7, 3;
  scores.col(1) << 9, 0, 4, 0, 0, 5;
  Counters counters;
  const auto selection = select_block(scores, block_of(0, 6, 2, 2), 3, counters);
  Matrix<TestType> importance(6, 2);
  const TestType none = -kInfOf<TestType>;
  importance.col(0) << none, none, 9, 7, 7, 7;
  importance.col(1) << none, none, 4, 4, 5, 5;
  CHECK(bit_equal(selection.importance, importance));
  CHECK(selection.kept_positions == std::vector<Indices>{{2, 3}, {4, 5}});
  CHECK(counters == Counters{});
}

TEMPLATE_TEST_CASE("what is no candidate is never kept, not even among -inf or NaN", "[selection]",
                   float, double) {
  const TestType bad = GENERATE(-kInfOf<TestType>, kNanOf<TestType>);
  Matrix<TestType> scores = Matrix<TestType>::Constant(8, 1, bad);
  scores.topRows(4).setConstant(100);
  Counters counters;
  const auto selection = select_block(scores, block_of(0, 8, 5, 3), 1, counters);
  CHECK(selection.kept_positions == std::vector<Indices>{{5, 6, 7}});
  CHECK(counters.nan_scores == (std::isnan(bad) ? 3 : 0));
}

TEMPLATE_TEST_CASE("kept positions are document positions, ascending", "[selection]", float,
                   double) {
  RandomTensors random(53);
  for (int round = 0; round < 200; ++round) {
    const Index block_len = random.below(30);
    const Index excluded = random.below(block_len + 1);
    const Index num_kept = random.below(block_len - excluded + 1);
    const auto layout = block_of(100, block_len, excluded, num_kept);
    const auto scores = random.matrix<TestType>(block_len, 3);
    Counters counters;
    const auto selection = select_block(scores, layout, 5, counters);
    REQUIRE(selection.kept_positions.size() == 3);
    const auto pooled = naive_pool(scores, 5);
    for (Index head = 0; head < 3; ++head) {
      std::vector<TestType> candidates;
      for (Index row = excluded; row < block_len; ++row) candidates.push_back(pooled(row, head));
      Indices expected = naive_top(candidates, num_kept);
      for (Index& index : expected) index += 100 + excluded;
      CHECK(selection.kept_positions[static_cast<std::size_t>(head)] == expected);
    }
  }
}

}  // namespace
}  // namespace apb
