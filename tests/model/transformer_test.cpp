// The parts of a decoder layer against their formulas.

#include "reference/model/transformer.hpp"
#include "reference/core/weights/toy_model.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "reference/core/error.hpp"
#include "tests/model/naive_llama.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

template <class Scalar>
constexpr auto kEps = static_cast<double>(std::numeric_limits<Scalar>::epsilon());

TEMPLATE_TEST_CASE("rms_norm equals its formula, row by row", "[transformer]", float, double) {
  RandomTensors random(141);
  for (const double size : {1e-4, 1.0, 1e4}) {
    for (const Index rows : {0, 1, 5, 70}) {
      const Matrix<TestType> x = random.matrix<TestType>(rows, 33) * static_cast<TestType>(size);
      const auto weight = random.matrix<TestType>(1, 33);
      const auto expected = naive_rms_norm(Matrix<double>(x.template cast<double>()), weight, 1e-5);
      CHECK(compare(rms_norm(x, weight, 1e-5), expected) <= 8 * std::sqrt(33.0) * kEps<TestType>);
    }
  }
}

TEST_CASE("rms_norm of a row of zeros is zero", "[transformer]") {
  const Matrix<double> zeros = Matrix<double>::Zero(2, 4);
  const Matrix<double> ones = Matrix<double>::Ones(1, 4);
  CHECK(compare(rms_norm(zeros, ones, 1e-5), zeros) <= 0);
}

TEMPLATE_TEST_CASE("RoPE turns every head by the angles of its row's position", "[transformer]",
                   float, double) {
  RandomTensors random(142);
  const std::array<Index, 6> positions{0, 1, 2, 1, 4095, 131071};
  for (const Index head_dim : {2, 8, 64}) {
    auto heads = random.heads<TestType>(6, 3, head_dim);
    HeadsTensor<double> expected(6, 3, head_dim);
    std::copy(heads.values().begin(), heads.values().end(), expected.values().begin());
    for (Index row = 0; row < 6; ++row) {
      for (Index head = 0; head < 3; ++head) {
        naive_rope(expected.view().at(row, head), head_dim,
                   positions[static_cast<std::size_t>(row)], 1e4);
      }
    }
    apply_rope(RopeTable<TestType>(positions, head_dim, 1e4, {}), heads.view());
    // Angles up to 131071 are rounded to double before their sine is taken.
    CHECK(compare(heads, expected) <= 8 * kEps<TestType> + 4 * 131071 * kEps<double>);
  }
}

TEST_CASE("RoPE at position 0 changes nothing; dot products see only differences of position",
          "[transformer]") {
  RandomTensors random(143);
  const auto original = random.heads<double>(2, 1, 16);
  const auto dot_at = [&](Index first, Index second) {
    auto heads = original;
    apply_rope(RopeTable<double>(std::array<Index, 2>{first, second}, 16, 1e4, {}), heads.view());
    return head_matrix(heads.view(), 0).row(0).dot(head_matrix(heads.view(), 0).row(1));
  };
  auto unturned = original;
  apply_rope(RopeTable<double>(std::array<Index, 2>{0, 0}, 16, 1e4, {}), unturned.view());
  CHECK(bit_equal(unturned, original));
  CHECK(std::abs(dot_at(3, 10) - dot_at(103, 110)) <= 1000 * kEps<double>);
  CHECK(std::abs(dot_at(3, 10) - dot_at(3, 11)) > 1e-3);
}

TEST_CASE("Llama 3's RoPE scaling: three ranges of wavelengths", "[transformer]") {
  // Llama-3.1: wavelengths below 2048 stay, those above 8192 become 8 times as long.
  const RopeScaling scaling{8, 1, 4, 8192};
  const auto frequency = [](double wavelength) { return 2 * std::numbers::pi / wavelength; };
  for (const double wavelength : {6.28, 700.0, 2047.9}) {
    CHECK(scaled_frequency(frequency(wavelength), scaling) == frequency(wavelength));
  }
  for (const double wavelength : {8192.1, 20000.0, 2e6}) {
    CHECK(scaled_frequency(frequency(wavelength), scaling) == frequency(wavelength) / 8);
  }
  // Half way between, 8192 / wavelength = 2.5: the mean of both.
  const double middle = frequency(8192 / 2.5);
  CHECK(std::abs(scaled_frequency(middle, scaling) / middle - (1 + 1.0 / 8) / 2) <= 1e-14);
  // One third from the long end, 8192 / wavelength = 2.
  const double third = frequency(8192 / 2.0);
  CHECK(std::abs(scaled_frequency(third, scaling) / third - (1 + 2.0 / 8) / 3) <= 1e-14);
  CHECK(scaled_frequency(middle, {}) == middle);
}

TEST_CASE("a RoPE table turns by scaled frequencies", "[transformer]") {
  const RopeScaling scaling{8, 1, 4, 64};
  const std::array<Index, 3> positions{0, 5, 70};
  const RopeTable<double> table(positions, 8, 1e4, scaling);
  for (Index row = 0; row < 3; ++row) {
    for (Index i = 0; i < 4; ++i) {
      const double frequency =
          scaled_frequency(std::pow(1e4, -static_cast<double>(i) / 4), scaling);
      const double angle =
          static_cast<double>(positions[static_cast<std::size_t>(row)]) * frequency;
      CHECK(std::abs(table.cosine(row, i) - std::cos(angle)) <= 1e-13);
      CHECK(std::abs(table.sine(row, i) - std::sin(angle)) <= 1e-13);
    }
  }
}

TEST_CASE("a RoPE table divides each frequency by its divisor and grows by the magnitude",
          "[transformer]") {
  const RopeScaling scaling{.divisors = {1, 2, 4, 0.5}, .magnitude = 1.5};
  const std::array<Index, 2> positions{3, 70};
  const RopeTable<double> table(positions, 8, 1e4, scaling);
  for (Index row = 0; row < 2; ++row) {
    for (std::size_t i = 0; i < 4; ++i) {
      const double angle = static_cast<double>(positions[static_cast<std::size_t>(row)]) *
                           std::pow(1e4, -static_cast<double>(i) / 4) / scaling.divisors[i];
      const auto pair = static_cast<Index>(i);
      CHECK(std::abs(table.cosine(row, pair) - 1.5 * std::cos(angle)) <= 1e-13);
      CHECK(std::abs(table.sine(row, pair) - 1.5 * std::sin(angle)) <= 1e-13);
    }
  }
}

TEST_CASE("biases are added to the projections before RoPE", "[transformer]") {
  auto weights = toy_weights<double>(144);
  RandomTensors random(145);
  const Matrix<double> hidden = random.matrix<double>(3, 96);
  const std::array<Index, 3> positions{4, 5, 6};
  const RopeTable<double> rope(positions, 16, 1e4, {});
  Counters counters;
  const auto plain = project_qkv(weights, 1, hidden, rope, counters);
  auto& layer = weights.layers[1];
  layer.query_bias = random.matrix<double>(1, 96);
  layer.key_bias = random.matrix<double>(1, 32);
  layer.value_bias = random.matrix<double>(1, 32);
  const auto biased = project_qkv(weights, 1, hidden, rope, counters);
  const auto check = [&](const HeadsTensor<double>& with, const HeadsTensor<double>& without,
                         const Matrix<double>& bias, bool turned) {
    HeadsTensor<double> expected = without;
    for (Index row = 0; row < 3; ++row) {
      for (Index head = 0; head < with.heads(); ++head) {
        std::array<double, 16> added{};
        for (Index i = 0; i < 16; ++i) added[static_cast<std::size_t>(i)] = bias(0, head * 16 + i);
        if (turned) naive_rope(added.data(), 16, positions[static_cast<std::size_t>(row)], 1e4);
        for (Index i = 0; i < 16; ++i) {
          expected.view().at(row, head)[i] += added[static_cast<std::size_t>(i)];
        }
      }
    }
    CHECK(compare(with, expected) <= 1e-13);
  };
  check(biased.query, plain.query, layer.query_bias, true);
  check(biased.key, plain.key, layer.key_bias, true);
  check(biased.value, plain.value, layer.value_bias, false);
}

TEST_CASE("embed takes rows of the embedding and refuses unknown tokens", "[transformer]") {
  const auto weights = toy_weights<double>(1);
  const auto hidden = embed<double>(weights, std::array{7, 0, 255});
  CHECK(hidden.rows() == 3);
  CHECK(hidden.row(0) == weights.embedding.row(7));
  CHECK(hidden.row(2) == weights.embedding.row(255));
  CHECK_THROWS_AS(embed<double>(weights, std::array{3, 256}), BadInput);
  CHECK_THROWS_WITH(embed<double>(weights, std::array{3, -1}),
                    "tokens: token 1 = -1: must be between 0 and 255");
}

}  // namespace
}  // namespace apb
