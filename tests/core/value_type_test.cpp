// Rounding to the formats of a case file, against the compiler's own float and against tables.

#include <array>
#include <cmath>
#include <limits>

#include "reference/core/case/case_file.hpp"
#include "reference/core/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

constexpr std::array kTypes{ValueType::kFloat64, ValueType::kFloat32, ValueType::kBfloat16,
                            ValueType::kFloat16};
constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Bits of the double, so that -0 and +0 differ.
bool rounds_to(ValueType type, double value, double expected) {
  return bit_equal(std::vector<double>{round_to(type, value)}, {expected});
}

TEST_CASE("names of formats", "[value_type]") {
  for (const ValueType type : kTypes) CHECK(parse_value_type(to_string(type)) == type);
  CHECK_THROWS_WITH(parse_value_type("float8"),
                    "config: value type = float8: must be one of float64, float32, bfloat16, "
                    "float16");
}

TEST_CASE("float32 is what the compiler rounds to", "[value_type]") {
  RandomTensors random(3);
  for (int i = 0; i < 20000; ++i) {
    const double value = std::ldexp(random.uniform(), static_cast<int>(random.below(320)) - 160);
    CAPTURE(value);
    CHECK(rounds_to(ValueType::kFloat32, value, static_cast<double>(static_cast<float>(value))));
  }
}

TEST_CASE("ties go to even, overflow to infinity, small numbers to fewer bits", "[value_type]") {
  const ValueType half = ValueType::kFloat16;
  CHECK(rounds_to(half, 1 + 0x1p-11, 1));
  CHECK(rounds_to(half, 1 + 0x3p-11, 1 + 0x1p-9));
  CHECK(rounds_to(half, 1 + 0x1p-11 + 0x1p-40, 1 + 0x1p-10));
  CHECK(rounds_to(half, 65504, 65504));
  CHECK(rounds_to(half, 65519.9, 65504));
  CHECK(rounds_to(half, -65520, -kInfinity));
  CHECK(rounds_to(half, 0x1p-24, 0x1p-24));
  CHECK(rounds_to(half, 0x1p-25, 0));
  CHECK(rounds_to(half, -0x1.8p-25, -0x1p-24));
  CHECK(rounds_to(half, 0x1.ff8p-15, 0x1.ff8p-15));
  CHECK(rounds_to(half, 0x1.ffcp-15, 0x1p-14));

  const ValueType brain = ValueType::kBfloat16;
  CHECK(rounds_to(brain, 257, 256));
  CHECK(rounds_to(brain, 259, 260));
  CHECK(rounds_to(brain, 0x1.FEp127, 0x1.FEp127));
  CHECK(rounds_to(brain, 0x1.FFp127, kInfinity));
  CHECK(rounds_to(brain, 0x1p-133, 0x1p-133));
  CHECK(rounds_to(brain, -0x1p-134, -0.0));
}

TEST_CASE("what a format holds stays, special values too", "[value_type]") {
  for (const ValueType type : kTypes) {
    CAPTURE(to_string(type));
    for (const double value : {0.0, -0.0, 1.0, -2.5, 240.0, kInfinity, -kInfinity}) {
      CHECK(rounds_to(type, value, value));
    }
    CHECK(std::isnan(round_to(type, std::numeric_limits<double>::quiet_NaN())));
  }
  CHECK(rounds_to(ValueType::kFloat64, 0.1, 0.1));
  CHECK_FALSE(rounds_to(ValueType::kFloat32, 0.1, 0.1));
}

}  // namespace
}  // namespace apb
