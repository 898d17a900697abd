#pragma once
/// \file
/// NaN and infinity, short enough for tables of expected values.

#include <limits>

namespace apb {

template <class Scalar>
inline constexpr Scalar kNanOf = std::numeric_limits<Scalar>::quiet_NaN();
template <class Scalar>
inline constexpr Scalar kInfOf = std::numeric_limits<Scalar>::infinity();

inline constexpr double kNan = kNanOf<double>;
inline constexpr double kInf = kInfOf<double>;

}  // namespace apb
