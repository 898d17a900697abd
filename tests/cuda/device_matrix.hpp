#pragma once
/// \file
/// Matrices on the device with NaN between their rows, and the verdict on what a step made of them.

#include <cmath>
#include <limits>

#include "cuda/device_buffer.hpp"
#include "cuda/device_heads.hpp"
#include "cuda/device_rows.hpp"
#include "cuda/stream.hpp"
#include "reference/verify/layer_steps.hpp"
#include "tests/support/catch.hpp"

namespace apb {

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr Index kGap = 6;

/// The format of T.
template <class T>
constexpr ValueType kValueType = ValueType::kFloat32;
template <>
inline constexpr ValueType kValueType<cuda::Bfloat16> = ValueType::kBfloat16;
template <>
inline constexpr ValueType kValueType<cuda::Float16> = ValueType::kFloat16;

/// A matrix of T on the device and, in double, on the host. Rows lie apart, and what is between
/// them is NaN.
template <class T>
struct Rows {
  Matrix<double> host;
  cuda::DeviceBuffer<T> there;
  Index gap;  ///< elements between rows

  Rows(const Matrix<double>& values, const cuda::Stream& stream, Index gap_between = kGap)
      : host(values), gap(gap_between) {
    std::vector<T> memory(static_cast<std::size_t>(values.rows() * stride()), T(kNaN));
    for (Index row = 0; row < values.rows(); ++row) {
      for (Index column = 0; column < values.cols(); ++column) {
        const T rounded(static_cast<float>(values(row, column)));
        memory[static_cast<std::size_t>(row * stride() + column)] = rounded;
        host(row, column) = static_cast<double>(static_cast<float>(rounded));
      }
    }
    there = cuda::to_device(memory, stream.get());
  }
  [[nodiscard]] Index stride() const { return host.cols() + gap; }
  [[nodiscard]] cuda::DeviceRows<T> view() const {
    return {there.data(), host.rows(), host.cols(), stride()};
  }
  [[nodiscard]] cuda::DeviceRows<const T> constant() const {
    return {there.data(), host.rows(), host.cols(), stride()};
  }
  /// What lies there now; `gaps_kept` becomes false if anything between the rows has changed.
  [[nodiscard]] Matrix<double> read(bool& gaps_kept, const cuda::Stream& stream) const {
    const std::vector<T> memory = cuda::to_host(there, stream.get());
    Matrix<double> values(host.rows(), host.cols());
    for (Index i = 0; i < std::ssize(memory); ++i) {
      const auto value =
          static_cast<double>(static_cast<float>(memory[static_cast<std::size_t>(i)]));
      if (i % stride() < host.cols()) {
        values(i / stride(), i % stride()) = value;
      } else {
        gaps_kept &= std::isnan(value);
      }
    }
    return values;
  }
};

/// What a step wrote in T is within the slack that fp32 has.
template <class T>
void check_step(const Matrix<double>& found, const StepTruth& truth) {
  const StepUse use = step_use(found, truth, kValueType<T>);
  INFO("row " << use.row << ", column " << use.column << ": " << use.found << ", must be "
              << use.truth << ": " << use.share << " of the slack");
  CHECK(use.is_right());
}

}  // namespace apb
