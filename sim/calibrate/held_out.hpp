#pragma once
/// \file
/// How well a table predicts what lies between its points: every other point of each curve is held
/// out, the rest becomes a profile, and that predicts the points held out. Points then lie twice as
/// far apart as in the profile that is written, so the error is rather too large than too small.

#include "sim/calibrate/measurements.hpp"

namespace apb::sim {

/// One measurement that was held out.
struct HeldOut {
  std::string kind;   ///< of collectives their name; else empty
  std::string point;  ///< "m = 4096 of [6144, 4096]"
  double error = 0;   ///< predicted time over measured, less 1
};

/// By family; curves of fewer than three points hold nothing out.
struct HeldOutErrors {
  std::vector<HeldOut> gemm;
  std::vector<HeldOut> attention;
  std::vector<HeldOut> collective;
};

/// The points that are not held out.
[[nodiscard]] Measurements kept_half(const Measurements& measured);

[[nodiscard]] HeldOutErrors hold_out(const MachineProfile& base, const Measurements& measured);

}  // namespace apb::sim
