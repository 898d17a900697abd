// NaN and infinities: what is visible shows, what is not visible never matters.

#include <cmath>
#include <limits>

#include "tests/attention/attention_case.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/special_values.hpp"

namespace apb {
namespace {

constexpr Index kQueryRows = 70;  // a full tile and the start of another
constexpr HeadShape kHeadShape{6, 2, 5};
constexpr Index kGroupSize = 3;

template <class Scalar>
AttentionCase<Scalar> causal_case() {
  RandomTensors random(21);
  return AttentionCase<Scalar>(random, kQueryRows, kHeadShape, {{9, kAll}, {kQueryRows, kCausal}});
}

/// Checks that exactly the elements that `is_spoiled` names are NaN and all others keep their bits.
template <class Scalar, class IsSpoiled>
void check_spoiled(const AttentionPartial<Scalar>& clean, const AttentionPartial<Scalar>& spoiled,
                   const IsSpoiled& is_spoiled) {
  AttentionPartial<Scalar> repaired = spoiled;
  Index wrong = 0;
  for (Index row = 0; row < kQueryRows; ++row) {
    for (Index head = 0; head < kHeadShape.num_q_heads; ++head) {
      for (Index i = -1; i < kHeadShape.head_dim; ++i) {  // -1: the lse
        Scalar& element = i < 0 ? repaired.lse(row, head) : repaired.out.view().at(row, head)[i];
        if (std::isnan(element) != is_spoiled(row, head, i)) ++wrong;
        if (!is_spoiled(row, head, i)) continue;
        element = i < 0 ? clean.lse(row, head) : clean.out.view().at(row, head)[i];
      }
    }
  }
  CHECK(wrong == 0);
  CHECK(bit_equal(repaired, clean));
}

TEMPLATE_TEST_CASE("a NaN key spoils the rows that see it and no others", "[attention]", float,
                   double) {
  const auto clean = causal_case<TestType>();
  const Index key = GENERATE(0, 1, 30, 62, 63, 64, 65, 69);
  const Index kv_head = GENERATE(0, 1);
  auto spoiled = clean;
  spoiled.keys[1].view().at(key, kv_head)[2] = kNanOf<TestType>;
  check_spoiled(clean.attend_all(), spoiled.attend_all(), [&](Index row, Index head, Index) {
    return head / kGroupSize == kv_head && key <= row;
  });
}

TEMPLATE_TEST_CASE("a NaN value spoils its column of the rows that see it", "[attention]", float,
                   double) {
  const auto clean = causal_case<TestType>();
  const Index key = GENERATE(0, 1, 30, 62, 63, 64, 65, 69);
  auto spoiled = clean;
  spoiled.values[1].view().at(key, 1)[3] = kNanOf<TestType>;
  check_spoiled(clean.attend_all(), spoiled.attend_all(), [&](Index row, Index head, Index i) {
    return head / kGroupSize == 1 && key <= row && i == 3;
  });
}

TEMPLATE_TEST_CASE("NaN in a segment that all rows see spoils all rows", "[attention]", float,
                   double) {
  const auto clean = causal_case<TestType>();
  auto spoiled = clean;
  spoiled.keys[0].view().at(8, 0)[0] = kNanOf<TestType>;
  check_spoiled(clean.attend_all(), spoiled.attend_all(),
                [](Index, Index head, Index) { return head / kGroupSize == 0; });
}

TEMPLATE_TEST_CASE("a NaN query spoils its own row and head", "[attention]", float, double) {
  const auto clean = causal_case<TestType>();
  auto spoiled = clean;
  spoiled.query.view().at(64, 4)[1] = kNanOf<TestType>;
  check_spoiled(clean.attend_all(), spoiled.attend_all(),
                [](Index row, Index head, Index) { return row == 64 && head == 4; });
}

TEMPLATE_TEST_CASE("a score of +inf gives NaN", "[attention]", float, double) {
  auto clean = causal_case<TestType>();
  for (TestType& q : clean.query.values()) q = std::abs(q) + TestType{1};
  auto spoiled = clean;
  spoiled.keys[1].view().at(63, 1)[0] = kInfOf<TestType>;
  check_spoiled(clean.attend_all(), spoiled.attend_all(),
                [](Index row, Index head, Index) { return head / kGroupSize == 1 && 63 <= row; });
}

TEMPLATE_TEST_CASE("a score of -inf has weight 0", "[attention]", float, double) {
  auto work = causal_case<TestType>();
  for (TestType& q : work.query.values()) q = std::abs(q) + TestType{1};
  auto& value = work.values[0];
  for (Index key = 0; key < 4; ++key) {
    work.keys[0].view().at(key, 0)[0] = -kInfOf<TestType>;
    for (Index i = 0; i < kHeadShape.head_dim; ++i) value.view().at(key, 0)[i] = TestType{1e30F};
  }
  const auto actual = work.attend_all();
  const auto expected = naive_attend<TestType>(work.query_view(), work.segments(), 1.0);
  const auto tolerance =
      attention_tolerance<TestType>(kHeadShape.head_dim, kQueryRows + 9, 10.0, 1.0);
  CHECK(compare(actual.out, expected.out) <= tolerance.out);
  CHECK(compare(actual.lse, expected.lse) <= tolerance.lse);
}

TEMPLATE_TEST_CASE("only scores of -inf: nothing is seen", "[attention]", float, double) {
  RandomTensors random(22);
  AttentionCase<TestType> work(random, kQueryRows, {1, 1, 1}, {{9, kAll}});
  for (TestType& q : work.query.values()) q = 1;
  for (TestType& k : work.keys[0].values()) k = -kInfOf<TestType>;
  const auto result = work.attend_all();
  CHECK(bit_equal(result.out, HeadsTensor<TestType>(kQueryRows, 1, 1)));
  CHECK(bit_equal(result.lse,
                  Matrix<TestType>(Matrix<TestType>::Constant(kQueryRows, 1, -kInfOf<TestType>))));
}

TEMPLATE_TEST_CASE("a finite product whose scaled score is -inf has weight 0 too", "[attention]",
                   float, double) {
  RandomTensors random(24);
  AttentionCase<TestType> work(random, kQueryRows, {1, 1, 1}, {{9, kAll}});
  const TestType large = std::sqrt(std::numeric_limits<TestType>::max()) / 2;
  for (TestType& q : work.query.values()) q = large;
  for (TestType& k : work.keys[0].values()) k = -large;
  work.softmax_scale = 16;
  const auto result = work.attend_all();
  CHECK(bit_equal(result.out, HeadsTensor<TestType>(kQueryRows, 1, 1)));
  CHECK(bit_equal(result.lse,
                  Matrix<TestType>(Matrix<TestType>::Constant(kQueryRows, 1, -kInfOf<TestType>))));
}

TEMPLATE_TEST_CASE("a weight too small for the type is 0, never more", "[attention]", float,
                   double) {
  // exp(-1e4) is 0 in any type; a clamped exponential would leave a tiny weight.
  RandomTensors random(23);
  AttentionCase<TestType> work(random, 1, {1, 1, 1}, {{33, kAll}});
  work.query.values() = {1};
  for (TestType& k : work.keys[0].values()) k = -1e4F;
  for (TestType& v : work.values[0].values()) v = std::numeric_limits<TestType>::max() / 64;
  work.keys[0].values()[5] = 0;
  work.values[0].values()[5] = 0.25F;
  const auto result = work.attend_all();
  CHECK(result.out.values()[0] == TestType{0.25F});
  CHECK(result.lse(0, 0) == TestType{0});
}

}  // namespace
}  // namespace apb
