#pragma once
/// \file
/// Floating-point formats that files and kernels name, and rounding to them.

#include <string_view>

namespace apb {

/// A floating-point format. In a case: what every stored input is exactly representable in.
enum class ValueType { kFloat64, kFloat32, kBfloat16, kFloat16 };

[[nodiscard]] std::string_view to_string(ValueType type);
/// \throws BadInput on an unknown name, listing the known ones
[[nodiscard]] ValueType parse_value_type(std::string_view name);
/// The nearest value of a format, ties to even; overflow gives infinity, NaN stays NaN.
[[nodiscard]] double round_to(ValueType type, double value);
/// The most that rounding a finite number of value's size to a format can cost: half the distance
/// between two neighbours there.
[[nodiscard]] double half_place(ValueType type, double value);

}  // namespace apb
