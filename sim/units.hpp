#pragma once
/// \file
/// Quantities with units as types: seconds are never added to bytes, and bytes over a bandwidth are
/// seconds. Counts that are compared with the reference stay whole numbers (Index); they become
/// quantities where they meet a rate.

#include <compare>
#include <concepts>

#include "reference/core/index.hpp"

namespace apb::sim {

/// A number of some unit; `Unit` is only a name.
template <class Unit>
struct Quantity {
  double number = 0;

  constexpr Quantity() = default;
  constexpr explicit Quantity(double value) : number(value) {}
  constexpr explicit Quantity(std::integral auto count) : number(static_cast<double>(count)) {}

  constexpr Quantity& operator+=(Quantity other) {
    number += other.number;
    return *this;
  }
  friend constexpr Quantity operator+(Quantity a, Quantity b) {
    return Quantity(a.number + b.number);
  }
  friend constexpr Quantity operator-(Quantity a, Quantity b) {
    return Quantity(a.number - b.number);
  }
  friend constexpr Quantity operator*(double factor, Quantity a) {
    return Quantity(factor * a.number);
  }
  /// How many times b fits into a: no unit.
  friend constexpr double operator/(Quantity a, Quantity b) { return a.number / b.number; }
  friend constexpr auto operator<=>(Quantity, Quantity) = default;
};

using Seconds = Quantity<struct SecondsUnit>;
using Bytes = Quantity<struct BytesUnit>;
using Flop = Quantity<struct FlopUnit>;
using BytesPerSecond = Quantity<struct BytesPerSecondUnit>;
using FlopPerSecond = Quantity<struct FlopPerSecondUnit>;

[[nodiscard]] constexpr Seconds operator/(Bytes bytes, BytesPerSecond rate) {
  return Seconds(bytes.number / rate.number);
}
[[nodiscard]] constexpr Seconds operator/(Flop flop, FlopPerSecond rate) {
  return Seconds(flop.number / rate.number);
}

}  // namespace apb::sim
