// attend() against a double loop over (row, key) pairs.

#include "reference/attention/attention.hpp"

#include <cmath>
#include <limits>

#include "tests/attention/attention_case.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/special_values.hpp"

namespace apb {
namespace {

struct Shape {
  Index rows;
  std::vector<SegmentShape> segments;
};

/// Sizes around the tile border, odd sizes, nothing; one and several segments, empty ones among
/// them.
const std::vector<Shape>& shapes() {
  static const std::vector<Shape> all = [] {
    std::vector<Shape> list{
        {113, {{203, kAll}}},
        {113, {{203, kAll}, {0, kAll}, {113, kCausal}}},
        {17, {{0, kAll}, {5, kAll}, {17, kCausal}, {0, kAll}}},
        {65, {{65, kCausal}, {64, kAll}, {1, kAll}, {65, kCausal}}},
        {3, {{17, kAll}, {1, kAll}, {63, kAll}, {3, kCausal}}},
        {17, {}},
        {17, {{0, kAll}, {0, kAll}}},
    };
    for (const Index rows : {0, 1, 17, 63, 64, 65}) {
      list.push_back({rows, {{rows, kCausal}}});
      for (const Index keys : {0, 1, 17, 63, 64, 65}) list.push_back({rows, {{keys, kAll}}});
    }
    return list;
  }();
  return all;
}

template <class Scalar>
void check_against_naive(const AttentionCase<Scalar>& work, double max_score) {
  CAPTURE(work.query.rows(), work.query.heads(), work.query.head_dim(), work.num_keys());
  const AttentionPartial<Scalar> actual = work.attend_all();
  const AttentionPartial<double> expected =
      naive_attend<Scalar>(work.query_view(), work.segments(), work.softmax_scale);
  const AttentionTolerance tolerance =
      attention_tolerance<Scalar>(work.query.head_dim(), work.num_keys(), max_score, 1.0);
  CHECK(compare(actual.out, expected.out) <= tolerance.out);
  CHECK(compare(actual.lse, expected.lse) <= tolerance.lse);
}

TEMPLATE_TEST_CASE("attend equals the double loop", "[attention]", float, double) {
  const HeadShape heads =
      GENERATE(HeadShape{1, 1, 1}, HeadShape{9, 3, 64}, HeadShape{32, 8, 8}, HeadShape{28, 4, 20});
  RandomTensors random(11);
  for (const Shape& shape : shapes()) {
    AttentionCase<TestType> work(random, shape.rows, heads, shape.segments);
    work.softmax_scale = 1.0 / std::sqrt(static_cast<double>(heads.head_dim));
    check_against_naive(work, std::sqrt(static_cast<double>(heads.head_dim)));
  }
}

TEMPLATE_TEST_CASE("attend at the sizes of a real head", "[attention]", float, double) {
  RandomTensors random(12);
  AttentionCase<TestType> work(random, 113, {32, 8, 128}, {{203, kAll}, {113, kCausal}});
  work.softmax_scale = 1.0 / std::sqrt(128.0);
  check_against_naive(work, std::sqrt(128.0));
}

TEMPLATE_TEST_CASE("attend on both sides of every tile border", "[attention]", float, double) {
  RandomTensors random(13);
  for (const Index tiles : {1, 2, 3}) {
    for (const Index rows : {tiles * kTileQ - 1, tiles * kTileQ, tiles * kTileQ + 1}) {
      check_against_naive(
          AttentionCase<TestType>(random, rows, {2, 1, 4}, {{5, kAll}, {rows, kCausal}}), 4.0);
    }
  }
}

TEMPLATE_TEST_CASE("scores beyond 1e5 and -1e5 neither overflow nor vanish", "[attention]", float,
                   double) {
  // Multiples of 1/8 and a power of two as scale: every score is exact, in float too.
  RandomTensors random(14);
  AttentionCase<TestType> work(random, 65, {4, 2, 16}, {{70, kAll}, {65, kCausal}});
  work.query = random.heads_of_eighths<TestType>(65, 4, 16);
  for (auto& key : work.keys) key = random.heads_of_eighths<TestType>(key.rows(), 2, 16);
  work.softmax_scale = 32768;
  const AttentionPartial<TestType> actual = work.attend_all();
  CHECK(actual.lse.maxCoeff() > 1e5);
  const auto expected = naive_attend<TestType>(work.query_view(), work.segments(), 32768);
  // Only exp and the sums round; lse also rounds to its own magnitude.
  const auto tolerance = attention_tolerance<TestType>(0, work.num_keys(), 0.0, 1.0);
  const auto eps = static_cast<double>(std::numeric_limits<TestType>::epsilon());
  CHECK(compare(actual.out, expected.out) <= tolerance.out);
  CHECK(compare(actual.lse, expected.lse) <=
        tolerance.lse + eps * expected.lse.cwiseAbs().maxCoeff());
}

TEMPLATE_TEST_CASE("all scores at -1e5 still give weights that add up to one", "[attention]", float,
                   double) {
  RandomTensors random(15);
  AttentionCase<TestType> work(random, 3, {1, 1, 1}, {{9, kAll}});
  work.query.values() = {1, 1, 1};
  for (auto& k : work.keys[0].values()) k = -100000;
  for (auto& v : work.values[0].values()) v = 0.5;
  const auto result = work.attend_all();
  for (Index row = 0; row < 3; ++row) CHECK(result.out.view().at(row, 0)[0] == TestType{0.5});
  CHECK(compare(result.lse, Matrix<double>(Matrix<double>::Constant(3, 1, std::log(9.0) - 1e5))) <=
        1e5 * static_cast<double>(std::numeric_limits<TestType>::epsilon()));
}

TEMPLATE_TEST_CASE("rows that see nothing have out 0 and lse -inf", "[attention]", float, double) {
  RandomTensors random(16);
  const auto segments = GENERATE(std::vector<SegmentShape>{}, std::vector<SegmentShape>{{0, kAll}},
                                 std::vector<SegmentShape>{{0, kAll}, {0, kAll}});
  const auto result = AttentionCase<TestType>(random, 70, {6, 3, 5}, segments).attend_all();
  CHECK(bit_equal(result.out, HeadsTensor<TestType>(70, 6, 5)));
  CHECK(bit_equal(result.lse, Matrix<TestType>(Matrix<TestType>::Constant(
                                  70, 6, -static_cast<TestType>(kInf)))));
}

TEMPLATE_TEST_CASE("attend counts four head_dim per visible pair and query head", "[attention]",
                   float, double) {
  RandomTensors random(17);
  const Index rows = GENERATE(0, 1, 17, 64, 130);
  const AttentionCase<TestType> work(random, rows, {6, 2, 5}, {{7, kAll}, {rows, kCausal}});
  Counters counters{.attention_flop = 1000};
  (void)attend<TestType>(work.query_view(), work.segments(), 1.0, counters);
  const Index pairs = 7 * rows + rows * (rows + 1) / 2;
  CHECK(counters == Counters{.attention_flop = 1000 + 4 * 5 * 6 * pairs});
}

TEST_CASE("shapes that do not fit together are refused", "[attention]") {
  RandomTensors random(18);
  Counters counters;
  const auto refuses = [&](const AttentionCase<double>& work) {
    CHECK_THROWS_AS(attend<double>(work.query_view(), work.segments(), 1.0, counters),
                    std::invalid_argument);
  };
  const AttentionCase<double> good(random, 4, {6, 2, 8}, {{4, kCausal}});
  AttentionCase<double> work = good;
  work.keys[0] = HeadsTensor<double>(3, 2, 8);
  refuses(work);  // fewer keys than values
  work.values[0] = HeadsTensor<double>(3, 2, 8);
  refuses(work);  // a causal segment that is not square
  work = good;
  work.keys[0] = work.values[0] = HeadsTensor<double>(4, 2, 7);
  refuses(work);  // head_dim
  work.keys[0] = work.values[0] = HeadsTensor<double>(4, 4, 8);
  refuses(work);  // 6 query heads on 4 KV heads
  work.keys[0] = work.values[0] = HeadsTensor<double>(4, 0, 8);
  refuses(work);  // no KV heads
  work = good;
  work.values[0] = HeadsTensor<double>(4, 3, 8);
  refuses(work);  // KV heads of keys and values differ
  CHECK(counters == Counters{});
}

}  // namespace
}  // namespace apb
