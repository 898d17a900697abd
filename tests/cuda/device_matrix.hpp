#pragma once
/// \file
/// Matrices on the device with NaN between their rows, and how far rounded results may be off.

#include <algorithm>
#include <cmath>
#include <limits>

#include "cuda/device_buffer.hpp"
#include "cuda/device_heads.hpp"
#include "cuda/device_rows.hpp"
#include "cuda/stream.hpp"
#include "reference/core/matrix.hpp"
#include "tests/support/catch.hpp"

namespace apb {

inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
inline constexpr Index kGap = 6;

/// Half a last place of 1.
template <class T>
constexpr double kHalfPlace = 0x1p-24;
template <>
inline constexpr double kHalfPlace<cuda::Bfloat16> = 0x1p-8;
template <>
inline constexpr double kHalfPlace<cuda::Float16> = 0x1p-11;

/// fp32 roundings, 2^-24 each, of sums of squares over a thread's elements, products and exp.
inline constexpr double kFp32 = 64 * 0x1p-24;
/// Half the distance of the smallest numbers of fp16.
inline constexpr double kTiny = 0x1p-25;

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

/// |found - expected| <= half a last place of expected + kFp32 size, everywhere.
template <class T>
void check_rounded(const Matrix<double>& found, const Matrix<double>& expected,
                   const Matrix<double>& size) {
  double worst = 0;
  for (Index i = 0; i < found.size(); ++i) {
    const double allowed =
        kHalfPlace<T> * std::abs(expected.data()[i]) + kFp32 * size.data()[i] + kTiny;
    const double share = std::abs(found.data()[i] - expected.data()[i]) / allowed;
    worst = std::isnan(share) ? std::numeric_limits<double>::infinity() : std::max(worst, share);
  }
  CHECK(worst <= 1);
}

}  // namespace apb
