// The judge of a layer's steps lets an honest computation in fp32 pass, sums in any order and cut
// off as on a tensor core, and says no to every mistake that a step can hold.

#include "reference/verify/layer_steps.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "tests/support/catch.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

constexpr std::array kOutTypes{ValueType::kBfloat16, ValueType::kFloat16};

Matrix<double> rounded(const Matrix<double>& values, ValueType type) {
  return values.unaryExpr([type](double value) { return round_to(type, value); });
}

/// Towards zero.
Matrix<double> cut_off(const Matrix<double>& values, ValueType type) {
  return values.unaryExpr([type](double value) {
    const double near = round_to(type, value);
    if (std::abs(near) <= std::abs(value)) return near;
    return round_to(type, near - std::copysign(2 * half_place(type, value), value));
  });
}

/// Random inputs as a type holds them.
Matrix<double> inputs(std::uint64_t seed, ValueType type, Index rows, Index columns,
                      double size = 1) {
  return rounded(RandomTensors(seed).matrix<double>(rows, columns) * size, type);
}

float fp32(double value) {
  return static_cast<float>(value);
}

/// A sum of products as a tensor core has it: after every 8 of them, 24 bits remain.
double tensor_core_sum(const Matrix<double>& x, Index row, const Matrix<double>& w, Index output) {
  double sum = 0;
  for (Index first = 0; first < x.cols(); first += 8) {
    for (Index i = first; i < std::min(first + 8, x.cols()); ++i) sum += x(row, i) * w(output, i);
    const double near = static_cast<double>(fp32(sum));
    const bool grew = std::abs(near) > std::abs(sum);
    sum = grew ? static_cast<double>(std::nextafter(fp32(sum), 0.0F)) : near;
  }
  return sum;
}

Matrix<double> tensor_core_product(const Matrix<double>& x, const Matrix<double>& w) {
  Matrix<double> y(x.rows(), w.rows());
  for (Index row = 0; row < y.rows(); ++row) {
    for (Index output = 0; output < y.cols(); ++output) {
      y(row, output) = tensor_core_sum(x, row, w, output);
    }
  }
  return y;
}

/// RMSNorm in fp32, its squares summed by 32 threads.
Matrix<double> plain_rms_norm(const Matrix<double>& x, const Matrix<double>& weight, double eps) {
  Matrix<double> y(x.rows(), x.cols());
  for (Index row = 0; row < x.rows(); ++row) {
    std::array<float, 32> parts{};
    for (Index i = 0; i < x.cols(); ++i) {
      parts.at(static_cast<std::size_t>(i % 32)) += fp32(x(row, i)) * fp32(x(row, i));
    }
    const float sum = std::accumulate(parts.begin(), parts.end(), 0.0F);
    const float factor = 1 / std::sqrt(sum / static_cast<float>(x.cols()) + fp32(eps));
    for (Index i = 0; i < x.cols(); ++i) {
      y(row, i) = static_cast<double>(fp32(x(row, i)) * factor * fp32(weight(0, i)));
    }
  }
  return y;
}

Matrix<double> plain_swiglu(const Matrix<double>& gate, const Matrix<double>& up) {
  return gate.binaryExpr(up, [](double a, double b) {
    return static_cast<double>(fp32(a) / (1 + std::exp(-fp32(a))) * fp32(b));
  });
}

/// Angles of rows at positions first, first + 1, …, in double or computed in fp32.
template <class Real>
double angle(Index position, Index pair, Index head_dim, Real theta) {
  const Real exponent = Real(-2) * static_cast<Real>(pair) / static_cast<Real>(head_dim);
  return static_cast<double>(static_cast<Real>(position) * std::pow(theta, exponent));
}

template <class Real>
Matrix<double> plain_rope(const Matrix<double>& x, Index first_position, Index head_dim,
                          Real theta) {
  Matrix<double> y(x.rows(), x.cols());
  const Index half = head_dim / 2;
  for (Index row = 0; row < x.rows(); ++row) {
    for (Index i = 0; i < x.cols(); ++i) {
      const bool first = i % head_dim < half;
      const float other = fp32(x(row, first ? i + half : i - half));
      const double its = angle<Real>(first_position + row, i % half, head_dim, theta);
      const float cos = fp32(std::cos(its)), sin = fp32(std::sin(its));
      y(row, i) = static_cast<double>(fp32(x(row, i)) * cos + (first ? -other : other) * sin);
    }
  }
  return y;
}

std::vector<Index> count_from(Index first, Index rows) {
  std::vector<Index> positions(static_cast<std::size_t>(rows));
  std::iota(positions.begin(), positions.end(), first);
  return positions;
}

bool right(const Matrix<double>& found, const StepTruth& truth, ValueType type) {
  return step_use(rounded(found, type), truth, type).is_right();
}

bool cut_off_is_right(const StepTruth& truth, ValueType type) {
  return step_use(cut_off(truth.value, type), truth, type).is_right();
}

}  // namespace

TEST_CASE("half_place: half the distance to a neighbour, that of the smallest numbers below them",
          "[verify]") {
  CHECK(half_place(ValueType::kBfloat16, 1) == 0x1p-8);
  CHECK(half_place(ValueType::kBfloat16, -1.99) == 0x1p-8);
  CHECK(half_place(ValueType::kFloat16, 2) == 0x1p-10);
  CHECK(half_place(ValueType::kFloat16, 1e-7) == 0x1p-25);
  CHECK(half_place(ValueType::kFloat16, 0) == 0x1p-25);
  CHECK(half_place(ValueType::kFloat32, 1) == 0x1p-24);
}

TEST_CASE("step_use: the share is what rounding does not explain", "[verify]") {
  StepTruth truth{Matrix<double>::Constant(1, 3, 1 + 0x1.8p-8),
                  Matrix<double>::Constant(1, 3, 0x1p-12)};
  Matrix<double> found = Matrix<double>::Constant(1, 3, 1 + 0x1p-7);
  CHECK(step_use(found, truth, ValueType::kBfloat16).share == 0);
  found(0, 1) = 1;  // 1 + 2^-8 is the largest number that rounds to it
  const StepUse use = step_use(found, truth, ValueType::kBfloat16);
  CHECK(use.share == 8);
  CHECK(use.column == 1);
  CHECK(use.found == 1);
  CHECK_FALSE(use.is_right());
  truth.value.setConstant(1 - 0x1p-9 - 0x1p-13);  // just below a power of two, places are half
  found.setConstant(1);
  CHECK(step_use(found, truth, ValueType::kBfloat16).share == 0.5);
  found(0, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK(step_use(found, truth, ValueType::kBfloat16).column == 2);
  CHECK_FALSE(step_use(found, truth, ValueType::kBfloat16).is_right());
  found(0, 2) = std::numeric_limits<double>::infinity();
  CHECK_FALSE(step_use(found, truth, ValueType::kBfloat16).is_right());
  CHECK_THROWS_AS(step_use(Matrix<double>(1, 2), truth, ValueType::kBfloat16),
                  std::invalid_argument);
}

TEST_CASE("judge of RMSNorm: fp32 passes; another epsilon, row or weight does not", "[verify]") {
  for (const ValueType type : kOutTypes) {
    for (const Index columns : {2, 576, 8192}) {
      INFO(to_string(type) << ", " << columns);
      const Matrix<double> x = inputs(1, type, 6, columns, 0.01);
      const Matrix<double> weight = inputs(2, type, 1, columns, 3);
      const StepTruth truth = true_rms_norm(x, weight, 1e-5);
      const Matrix<double> plain = plain_rms_norm(x, weight, 1e-5);
      CHECK(right(plain, truth, type));
      CHECK_FALSE(right(plain_rms_norm(x, weight, 1e-6), truth, type));
      CHECK_FALSE(right(plain_rms_norm(x, Matrix<double>::Ones(1, columns), 1e-5), truth, type));
      CHECK_FALSE(right(plain.colwise().reverse(), truth, type));
      CHECK_FALSE(right(plain * 0.998, truth, type));
      if (columns > 2) CHECK_FALSE(cut_off_is_right(truth, type));
    }
  }
}

TEST_CASE("judge of RoPE: fp32 passes; the next position, fp32 angles, other heads do not",
          "[verify]") {
  constexpr Index kHeads = 3, kHeadDim = 64;
  for (const ValueType type : kOutTypes) {
    for (const Index first : {0, 4000, 131000}) {
      INFO(to_string(type) << ", " << first);
      const Matrix<double> x = inputs(3, type, 5, kHeads * kHeadDim);
      const StepTruth truth =
          true_rope(x, RopeTable<double>(count_from(first, 5), kHeadDim, 10000, {}));
      CHECK(right(plain_rope<double>(x, first, kHeadDim, 10000), truth, type));
      CHECK_FALSE(right(plain_rope<double>(x, first + 1, kHeadDim, 10000), truth, type));
      CHECK_FALSE(right(plain_rope<double>(x, first, kHeadDim, 500000), truth, type));
      CHECK_FALSE(right(plain_rope<double>(x, first, 2 * kHeads, 10000), truth, type));
      CHECK_FALSE(right(x, truth, type));
      CHECK_FALSE(cut_off_is_right(truth, type));
      if (first == 131000) {
        CHECK_FALSE(right(plain_rope<float>(x, first, kHeadDim, 10000), truth, type));
      }
    }
  }
}

TEST_CASE("judge of SwiGLU: fp32 passes, at -100 too; gate and up exchanged do not", "[verify]") {
  for (const ValueType type : kOutTypes) {
    for (const double size : {1.0, 100.0}) {
      INFO(to_string(type) << ", " << size);
      const Matrix<double> gate = inputs(4, type, 4, 1536, size);
      const Matrix<double> up = inputs(5, type, 4, 1536, 3);
      const StepTruth truth = true_swiglu(gate, up);
      CHECK(right(plain_swiglu(gate, up), truth, type));
      CHECK_FALSE(right(plain_swiglu(up, gate), truth, type));
      CHECK_FALSE(right(gate.cwiseProduct(up), truth, type));
      CHECK_FALSE(right(plain_swiglu(-gate, up), truth, type));
      CHECK_FALSE(cut_off_is_right(truth, type));
    }
  }
}

namespace {

/// A product's inputs and what it is added to.
struct Operands {
  Matrix<double> x, w, bias, there;

  Operands(ValueType type, Index count, Index rows = 4, Index outputs = 48)
      : x(inputs(6, type, rows, count)),
        w(inputs(7, type, outputs, count, 0.1)),
        bias(inputs(8, type, 1, outputs)),
        there(inputs(9, type, rows, outputs, 4)) {}
};

}  // namespace

TEST_CASE("judge of products: tensor cores pass; a lost term, row or bias does not", "[verify]") {
  for (const ValueType type : kOutTypes) {
    for (const Index count : {64, 576, 1536}) {
      INFO(to_string(type) << ", " << count);
      const Operands its(type, count);
      const StepTruth truth = true_product({its.x, its.w}, type);
      const Matrix<double> plain = tensor_core_product(its.x, its.w);
      CHECK(right(plain, truth, type));
      CHECK(step_use(plain, truth, ValueType::kFloat32).is_right());
      CHECK_FALSE(cut_off_is_right(truth, type));
      CHECK_FALSE(right(plain.colwise().reverse(), truth, type));
      CHECK_FALSE(right(plain.rowwise().reverse(), truth, type));
      Matrix<double> lost = its.x;
      lost.col(count / 2).setZero();
      CHECK_FALSE(right(tensor_core_product(lost, its.w), truth, type));

      const StepTruth biased = true_product({its.x, its.w, &its.bias}, type);
      CHECK(right(plain.rowwise() + its.bias.row(0), biased, type));
      CHECK_FALSE(right(plain, biased, type));
    }
  }
}

TEST_CASE("judge of products: sums kept in 16 bits do not pass, of one sign either", "[verify]") {
  for (const ValueType type : kOutTypes) {
    Operands its(type, 576);
    its.x = its.x.cwiseAbs();
    its.w = its.w.cwiseAbs();
    const StepTruth truth = true_product({its.x, its.w}, type);
    CHECK(right(tensor_core_product(its.x, its.w), truth, type));
    Matrix<double> narrow = Matrix<double>::Zero(its.x.rows(), its.w.rows());
    for (Index first = 0; first < 576; first += 64) {
      narrow = rounded(
          narrow + its.x.middleCols(first, 64) * its.w.middleCols(first, 64).transpose(), type);
    }
    CHECK_FALSE(right(narrow, truth, type));
  }
}

TEST_CASE("judge of products added to what is there: rounded first or not; not lost, not twice",
          "[verify]") {
  for (const ValueType type : kOutTypes) {
    const Operands its(type, 576);
    const StepTruth truth = true_product({its.x, its.w, nullptr, &its.there}, type);
    const Matrix<double> plain = tensor_core_product(its.x, its.w);
    CHECK(right(plain + its.there, truth, type));
    CHECK(right(rounded(plain, type) + its.there, truth, type));
    CHECK_FALSE(right(plain, truth, type));
    CHECK_FALSE(right(its.there, truth, type));
    CHECK_FALSE(right(plain + 2 * its.there, truth, type));
    CHECK_FALSE(right(plain + its.there.colwise().reverse(), truth, type));
    CHECK_FALSE(cut_off_is_right(truth, type));
    CHECK_FALSE(right(cut_off(plain, type) + its.there, truth, type));
  }
}

}  // namespace apb
