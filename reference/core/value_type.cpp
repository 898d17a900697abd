#include "reference/core/value_type.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "reference/core/error.hpp"

namespace apb {
namespace {

/// A binary format narrower than double.
struct Format {
  ValueType type;
  std::string_view name;
  int significand_bits;  ///< the leading one included
  int min_exponent;      ///< of the smallest normal number, 2^min_exponent
  double largest;        ///< finite
};

constexpr std::array<Format, 4> kFormats{
    {{ValueType::kFloat64, "float64", 53, -1022, std::numeric_limits<double>::max()},
     {ValueType::kFloat32, "float32", 24, -126, std::numeric_limits<float>::max()},
     {ValueType::kBfloat16, "bfloat16", 8, -126, 0x1.FEp127},
     {ValueType::kFloat16, "float16", 11, -14, 65504}}};

const Format& format_of(ValueType type) {
  return kFormats.at(static_cast<std::size_t>(type));
}

/// Numbers of one exponent are whole multiples of one step, 2^step_exponent; below the normal ones,
/// the step stays.
int step_exponent(const Format& format, double value) {
  const int exponent = value == 0 ? format.min_exponent : std::ilogb(value);
  return std::max(exponent, format.min_exponent) - (format.significand_bits - 1);
}

}  // namespace

std::string_view to_string(ValueType type) {
  return format_of(type).name;
}

ValueType parse_value_type(std::string_view name) {
  std::string allowed;
  for (const Format& format : kFormats) {
    if (format.name == name) return format.type;
    allowed += (allowed.empty() ? "" : ", ") + std::string(format.name);
  }
  throw BadInput("config", "value type", name, "one of " + allowed);
}

double round_to(ValueType type, double value) {
  if (type == ValueType::kFloat64 || value == 0 || !std::isfinite(value)) return value;
  const Format& format = format_of(type);
  const int step = step_exponent(format, value);
  const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -step)), step);
  if (std::abs(rounded) <= format.largest) return rounded;
  return std::copysign(std::numeric_limits<double>::infinity(), value);
}

double half_place(ValueType type, double value) {
  return std::ldexp(0.5, step_exponent(format_of(type), value));
}

}  // namespace apb
