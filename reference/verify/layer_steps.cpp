#include "reference/verify/layer_steps.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "reference/core/matrix_product.hpp"
#include "reference/verify/budget.hpp"

namespace apb {
namespace {

/// One rounding of fp32.
constexpr double kFp32 = 0x1p-24;

double silu(double x) {
  return std::isinf(x) && x < 0 ? 0 : x / (1 + std::exp(-x));
}

/// How far the truth is from the numbers that round to what was found.
double beyond_rounding(double found, double truth, ValueType type) {
  const double error = element_error(found, truth);
  if (error == 0 || std::isnan(error)) return error;
  // Between a power of two and what is below it, half a place is half as wide: look towards truth.
  return std::max(0.0, error - half_place(type, std::nextafter(found, truth)));
}

double share_of(double distance, double slack) {
  if (distance == 0) return 0;
  return std::isnan(distance) ? std::numeric_limits<double>::infinity() : distance / slack;
}

}  // namespace

StepTruth true_rms_norm(const Matrix<double>& x, const Matrix<double>& weight, double eps) {
  StepTruth truth{x, {}};
  const auto columns = static_cast<double>(x.cols());
  for (Index row = 0; row < x.rows(); ++row) {
    const double factor = 1 / std::sqrt(x.row(row).squaredNorm() / columns + eps);
    truth.value.row(row) = (x.row(row) * factor).cwiseProduct(weight.row(0));
  }
  truth.slack = truth.value.cwiseAbs() * ((std::sqrt(columns) / 2 + 8) * kFp32);
  return truth;
}

StepTruth true_rope(const Matrix<double>& x, const RopeTable<double>& angles) {
  StepTruth truth{Matrix<double>(x.rows(), x.cols()), Matrix<double>(x.rows(), x.cols())};
  const Index half = angles.pairs();
  for (Index row = 0; row < x.rows(); ++row) {
    for (Index head = 0; head < x.cols(); head += 2 * half) {
      for (Index pair = 0; pair < half; ++pair) {
        const Index first = head + pair, second = first + half;
        const double a = x(row, first), b = x(row, second);
        const double cos = angles.cosine(row, pair), sin = angles.sine(row, pair);
        truth.value(row, first) = a * cos - b * sin;
        truth.value(row, second) = b * cos + a * sin;
        truth.slack(row, first) = 4 * kFp32 * (std::abs(a * cos) + std::abs(b * sin));
        truth.slack(row, second) = 4 * kFp32 * (std::abs(b * cos) + std::abs(a * sin));
      }
    }
  }
  return truth;
}

StepTruth true_swiglu(const Matrix<double>& gate, const Matrix<double>& up) {
  StepTruth truth;
  truth.value = gate.unaryExpr(&silu).cwiseProduct(up);
  truth.slack =
      (gate.array().abs() + 16) * truth.value.array().abs() * kFp32 + up.array().abs() * 0x1p-121;
  return truth;
}

StepTruth true_product(const ProductInputs& inputs, ValueType out_type) {
  const auto& [x, w, bias, there] = inputs;
  StepTruth truth{Matrix<double>(x.rows(), w.rows()), Matrix<double>(x.rows(), w.rows())};
  multiply_transposed<double>(x, w, truth.value);
  multiply_transposed<double>(x.cwiseAbs(), w.cwiseAbs(), truth.slack);
  if (bias != nullptr) {
    truth.value.rowwise() += bias->row(0);
    truth.slack.rowwise() += bias->row(0).cwiseAbs();
  }
  const double roundings = (static_cast<double>(x.cols()) / 8 + 8) * kFp32;
  if (there == nullptr) {
    truth.slack *= roundings;
    return truth;
  }
  truth.slack = (truth.slack + there->cwiseAbs()) * roundings;
  truth.slack += (truth.value.cwiseAbs() + truth.slack).unaryExpr([&](double most) {
    return half_place(out_type, most);
  });
  truth.value += *there;
  return truth;
}

StepUse step_use(const Matrix<double>& found, const StepTruth& truth, ValueType out_type) {
  if (found.rows() != truth.value.rows() || found.cols() != truth.value.cols()) {
    throw std::invalid_argument("step_use: shapes differ");
  }
  StepUse use;
  for (Index row = 0; row < found.rows(); ++row) {
    for (Index column = 0; column < found.cols(); ++column) {
      const double expected = truth.value(row, column);
      const double share = share_of(beyond_rounding(found(row, column), expected, out_type),
                                    truth.slack(row, column));
      if (use.row >= 0 && share <= use.share) continue;
      use = {share, row, column, found(row, column), expected};
    }
  }
  return use;
}

}  // namespace apb
