// merge_partials: what joining parts must and must not change.

#include "reference/attention/merge.hpp"

#include <cmath>
#include <limits>

#include "tests/attention/attention_case.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/special_values.hpp"

namespace apb {
namespace {

template <class Scalar>
constexpr double kEps = static_cast<double>(std::numeric_limits<Scalar>::epsilon());

constexpr Index kPartRows = 7;
constexpr Index kPartHeads = 3;
constexpr Index kPartDim = 5;

template <class Scalar>
using Parts = std::vector<AttentionPartial<Scalar>>;

template <class Scalar>
AttentionPartial<Scalar> random_partial(RandomTensors& random) {
  AttentionPartial<Scalar> partial(kPartRows, kPartHeads, kPartDim);
  partial.out = random.heads<Scalar>(kPartRows, kPartHeads, kPartDim);
  partial.lse = 3 * random.matrix<Scalar>(kPartRows, kPartHeads);
  return partial;
}

/// A part that saw nothing; its out is whatever `out_value` is.
template <class Scalar>
AttentionPartial<Scalar> empty_partial(Scalar out_value) {
  AttentionPartial<Scalar> partial(kPartRows, kPartHeads, kPartDim);
  for (Scalar& element : partial.out.values()) element = out_value;
  partial.lse.setConstant(-kInfOf<Scalar>);
  return partial;
}

template <class Scalar>
AttentionPartial<Scalar> merge(const Parts<Scalar>& parts) {
  return merge_partials<Scalar>(parts);
}

/// Few roundings of numbers of size 1 (out) and of lse's size.
template <class Scalar>
void check_close(const AttentionPartial<Scalar>& a, const AttentionPartial<Scalar>& b,
                 double lse_size) {
  CHECK(compare(a.out, b.out) <= 16 * (1 + lse_size) * kEps<Scalar>);
  CHECK(compare(a.lse, b.lse) <= 16 * (1 + lse_size) * kEps<Scalar>);
}

TEMPLATE_TEST_CASE("an empty part is the identity, wherever it stands and whatever its out",
                   "[merge]", float, double) {
  RandomTensors random(41);
  const auto part = random_partial<TestType>(random);
  CHECK(bit_equal(merge<TestType>({part}), part));
  for (const TestType rest : {TestType{0}, TestType{5}, kNanOf<TestType>, kInfOf<TestType>}) {
    const auto empty = empty_partial(rest);
    CHECK(bit_equal(merge<TestType>({part, empty}), part));
    CHECK(bit_equal(merge<TestType>({empty, part}), part));
    CHECK(bit_equal(merge<TestType>({empty, empty, part, empty}), part));
  }
}

TEMPLATE_TEST_CASE("nothing but empty parts: out 0 and lse -inf", "[merge]", float, double) {
  const auto nothing = empty_partial(TestType{0});
  const auto garbage = empty_partial(kNanOf<TestType>);
  CHECK(bit_equal(merge<TestType>({nothing}), nothing));
  CHECK(bit_equal(merge<TestType>({garbage, nothing, garbage}), nothing));
}

TEMPLATE_TEST_CASE("an empty row among full ones", "[merge]", float, double) {
  RandomTensors random(42);
  auto a = random_partial<TestType>(random);
  auto b = random_partial<TestType>(random);
  a.lse(2, 1) = b.lse(2, 1) = -kInfOf<TestType>;
  a.lse(3, 0) = -kInfOf<TestType>;
  const auto merged = merge<TestType>({a, b});
  CHECK(merged.lse(2, 1) == -kInfOf<TestType>);
  CHECK(merged.lse(3, 0) == b.lse(3, 0));
  for (Index i = 0; i < kPartDim; ++i) {
    CHECK(merged.out.view().at(2, 1)[i] == 0);
    CHECK(merged.out.view().at(3, 0)[i] == b.out.view().at(3, 0)[i]);
  }
  CHECK(merged.lse(0, 0) > std::max(a.lse(0, 0), b.lse(0, 0)));
}

TEMPLATE_TEST_CASE("the order of parts changes only rounding", "[merge]", float, double) {
  RandomTensors random(43);
  const auto a = random_partial<TestType>(random);
  const auto b = random_partial<TestType>(random);
  const auto c = random_partial<TestType>(random);
  const auto merged = merge<TestType>({a, b, c});
  for (const Parts<TestType>& order :
       {Parts<TestType>{a, c, b}, Parts<TestType>{b, a, c}, Parts<TestType>{b, c, a},
        Parts<TestType>{c, a, b}, Parts<TestType>{c, b, a}}) {
    check_close(merge(order), merged, 4);
  }
}

TEMPLATE_TEST_CASE("merging is associative to rounding", "[merge]", float, double) {
  RandomTensors random(44);
  const auto a = random_partial<TestType>(random);
  const auto b = random_partial<TestType>(random);
  const auto c = random_partial<TestType>(random);
  const auto all = merge<TestType>({a, b, c});
  check_close(merge<TestType>({merge<TestType>({a, b}), c}), all, 4);
  check_close(merge<TestType>({a, merge<TestType>({b, c})}), all, 4);
}

TEMPLATE_TEST_CASE("lse beyond 1000 and below -1000 only shifts", "[merge]", float, double) {
  RandomTensors random(45);
  const Parts<TestType> parts{random_partial<TestType>(random), random_partial<TestType>(random)};
  const auto merged = merge(parts);
  for (const TestType shift : {TestType{1500}, TestType{-1500}, TestType{1e5F}, TestType{-1e5F}}) {
    Parts<TestType> shifted = parts;
    for (auto& part : shifted) part.lse.array() += shift;
    auto result = merge(shifted);
    result.lse.array() -= shift;
    check_close(result, merged, std::abs(static_cast<double>(shift)));
  }
}

TEMPLATE_TEST_CASE("a part far below the others has no weight", "[merge]", float, double) {
  RandomTensors random(46);
  const auto near = random_partial<TestType>(random);
  auto far = random_partial<TestType>(random);
  far.lse.array() -= 5000;
  CHECK(bit_equal(merge<TestType>({near, far}), near));
  CHECK(bit_equal(merge<TestType>({far, near}), near));
}

TEMPLATE_TEST_CASE("NaN or +inf in an lse gives NaN in its row and head only", "[merge]", float,
                   double) {
  RandomTensors random(47);
  const auto a = random_partial<TestType>(random);
  const auto b = random_partial<TestType>(random);
  const auto clean = merge<TestType>({a, b});
  for (const TestType bad : {kNanOf<TestType>, kInfOf<TestType>}) {
    for (const bool first : {true, false}) {
      auto spoiled = first ? a : b;
      spoiled.lse(4, 2) = bad;
      auto merged = first ? merge<TestType>({spoiled, b}) : merge<TestType>({a, spoiled});
      CHECK(std::isnan(merged.lse(4, 2)));
      merged.lse(4, 2) = clean.lse(4, 2);
      for (Index i = 0; i < kPartDim; ++i) {
        TestType& element = merged.out.view().at(4, 2)[i];
        CHECK(std::isnan(element));
        element = clean.out.view().at(4, 2)[i];
      }
      CHECK(bit_equal(merged, clean));
    }
  }
  auto infinite = a;
  infinite.lse.setConstant(kInfOf<TestType>);
  CHECK(merge<TestType>({infinite, infinite}).lse.array().isNaN().all());
}

TEMPLATE_TEST_CASE("NaN in the out of a part that saw something shows", "[merge]", float, double) {
  RandomTensors random(48);
  const auto a = random_partial<TestType>(random);
  auto spoiled = random_partial<TestType>(random);
  spoiled.out.view().at(1, 1)[3] = kNanOf<TestType>;
  const auto merged = merge<TestType>({a, spoiled});
  CHECK(std::isnan(merged.out.view().at(1, 1)[3]));
  CHECK_FALSE(std::isnan(merged.out.view().at(1, 1)[2]));
  CHECK_FALSE(std::isnan(merged.lse(1, 1)));
}

TEMPLATE_TEST_CASE("attention over parts of the keys, merged, is attention over all", "[merge]",
                   float, double) {
  RandomTensors random(49);
  const AttentionCase<TestType> work(random, 20, {6, 2, 8},
                                     {{30, Visibility::kAll},
                                      {0, Visibility::kAll},
                                      {11, Visibility::kAll},
                                      {20, Visibility::kCausal}});
  Parts<TestType> parts;
  Counters counters;
  for (const KeySegment<TestType>& segment : work.segments()) {
    parts.push_back(attend<TestType>(work.query_view(), {&segment, 1}, 1.0, counters));
  }
  const auto tolerance = attention_tolerance<TestType>(8, work.num_keys(), 8.0, 1.0);
  const auto whole = work.attend_all();
  const auto merged = merge(parts);
  CHECK(compare(merged.out, whole.out) <= tolerance.out);
  CHECK(compare(merged.lse, whole.lse) <= tolerance.lse);
}

TEST_CASE("no part, or parts of different shapes, are refused", "[merge]") {
  using Partial = AttentionPartial<double>;
  const Partial part(2, 3, 4);
  CHECK_THROWS_AS(merge<double>({}), std::invalid_argument);
  CHECK_THROWS_AS(merge<double>({part, Partial(3, 3, 4)}), std::invalid_argument);
  CHECK_THROWS_AS(merge<double>({part, Partial(2, 4, 3)}), std::invalid_argument);
  CHECK_THROWS_AS(merge<double>({part, Partial(2, 3, 5)}), std::invalid_argument);
  CHECK(merge<double>({Partial(0, 3, 4), Partial(0, 3, 4)}).out.rows() == 0);
}

}  // namespace
}  // namespace apb
