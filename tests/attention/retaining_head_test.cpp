// The retaining head against its formula in plain loops, and what must not matter to it.

#include "reference/attention/retaining_head.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "reference/attention/block_scores.hpp"
#include "reference/core/parallel_for.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/local_ranks.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

template <class Scalar>
Matrix<double> naive_scores(const RetainingHead<Scalar>& head, const Matrix<Scalar>& x) {
  const bool linear = head.fc2.size() == 0;
  Matrix<double> scores = Matrix<double>::Zero(x.rows(), (linear ? head.fc1 : head.fc2).rows());
  for (Index row = 0; row < x.rows(); ++row) {
    for (Index unit = 0; unit < head.fc1.rows(); ++unit) {
      double sum = 0;
      for (Index i = 0; i < x.cols(); ++i) {
        sum += static_cast<double>(x(row, i)) * static_cast<double>(head.fc1(unit, i));
      }
      if (linear) {
        scores(row, unit) = sum;
        continue;
      }
      const double active = sum / (1.0 + std::exp(-sum));
      for (Index kv_head = 0; kv_head < scores.cols(); ++kv_head) {
        scores(row, kv_head) += active * static_cast<double>(head.fc2(kv_head, unit));
      }
    }
  }
  return scores;
}

TEMPLATE_TEST_CASE("retaining_scores equals its formula", "[retaining]", float, double) {
  RandomTensors random(301);
  constexpr auto kEps = static_cast<double>(std::numeric_limits<TestType>::epsilon());
  constexpr Index kInputs = 40;
  for (const Index rows : {0, 1, 2, 63, 64, 65, 200}) {
    for (const Index hidden : {0, 1, 24}) {
      for (const Index kv_heads : {1, 3}) {
        CAPTURE(rows, hidden, kv_heads);
        RetainingHead<TestType> head;
        head.fc1 = random.matrix<TestType>(hidden == 0 ? kv_heads : hidden, kInputs);
        if (hidden > 0) head.fc2 = random.matrix<TestType>(kv_heads, hidden);
        const auto features = random.matrix<TestType>(rows, kInputs);
        Counters counters;
        const auto scores = retaining_scores(head, features, counters);
        // Sums of 40 products of size at most 1, then of `hidden` products of such sums.
        const double terms = kInputs + static_cast<double>(hidden);
        CHECK(compare(scores, naive_scores(head, features)) <= 4 * kInputs * terms * kEps);
        const Index flop =
            2 * rows * (hidden == 0 ? kv_heads * kInputs : hidden * kInputs + kv_heads * hidden);
        CHECK(counters == Counters{.compressor_flop = flop});
      }
    }
  }
}

/// 6 query and 2 KV heads of 8 elements: 80 inputs; 12 hidden units.
struct Sample {
  RandomTensors random{302};
  RetainingHead<double> head{random.matrix<double>(12, 80), random.matrix<double>(2, 12)};
  Matrix<double> features = random.matrix<double>(70, 80);

  [[nodiscard]] Matrix<double> scores() const {
    Counters counters;
    return retaining_scores(head, features, counters);
  }
};

TEST_CASE("retaining_scores: rows of fc2 are KV heads", "[retaining]") {
  Sample sample;
  const Matrix<double> before = sample.scores();
  sample.head.fc2.row(0).swap(sample.head.fc2.row(1));
  const Matrix<double> after = sample.scores();
  CHECK(compare(Matrix<double>(after.rowwise().reverse()), before) <= 1e-13);
  CHECK_FALSE(compare(after, before) <= 1e-3);
}

TEST_CASE("retaining_scores: heads permuted with their weights give the same", "[retaining]") {
  Sample sample;
  const Matrix<double> before = sample.scores();
  const auto swap_heads = [](Matrix<double>& matrix) {
    const Matrix<double> head_1 = matrix.middleCols(8, 8);
    matrix.middleCols(8, 8) = matrix.middleCols(40, 8);
    matrix.middleCols(40, 8) = head_1;
  };
  swap_heads(sample.features);
  // Scores see every head: heads permuted without their weights give others.
  CHECK_FALSE(compare(sample.scores(), before) <= 1e-3);
  swap_heads(sample.head.fc1);
  CHECK(compare(sample.scores(), before) <= 1e-12);
}

TEMPLATE_TEST_CASE("retaining_scores: the same bits with any number of threads", "[retaining]",
                   float, double) {
  RandomTensors random(303);
  const RetainingHead<TestType> head{random.matrix<TestType>(30, 48),
                                     random.matrix<TestType>(2, 30)};
  const auto features = random.matrix<TestType>(333, 48);
  Counters counters;
  set_num_threads(1);
  const auto expected = retaining_scores(head, features, counters);
  for (const int threads : {2, 3, 5}) {
    set_num_threads(threads);
    CHECK(bit_equal(retaining_scores(head, features, counters), expected));
  }
}

TEST_CASE("retaining_scores: a NaN stays in its row", "[retaining]") {
  Sample sample;
  const Matrix<double> before = sample.scores();
  sample.features(5, 3) = std::numeric_limits<double>::quiet_NaN();
  const Matrix<double> after = sample.scores();
  CHECK(std::isnan(after(5, 0)));
  CHECK(std::isnan(after(5, 1)));
  CHECK(bit_equal(Matrix<double>(after.bottomRows(64)), Matrix<double>(before.bottomRows(64))));
}

TEST_CASE("retaining_head without weights, or with misfits, is a caller's mistake", "[retaining]") {
  Sample sample;
  Counters counters;
  CHECK_THROWS_AS(retaining_scores(sample.head, sample.random.matrix<double>(3, 79), counters),
                  std::invalid_argument);
  sample.head.fc2 = sample.random.matrix<double>(2, 11);
  CHECK_THROWS_AS(sample.scores(), std::invalid_argument);

  ApbConfig config;
  config.doc_len = 4;
  config.compressor = Compressor::kRetainingHead;
  const BlockLayout layout = make_block_layout(config);
  const HeadsTensor<double> rows(4, 1, 1);
  CHECK_THROWS_AS(on_local_ranks(1,
                                 [&](Communicator& communicator) {
                                   return block_scores<double>(config, layout.ranks[0], 0,
                                                               rows.view(), rows.view(),
                                                               communicator, counters);
                                 }),
                  std::invalid_argument);
}

}  // namespace
}  // namespace apb
