#pragma once
/// \file
/// How sure a predicted time is: from the spread of what it was made from, fixed in the machine's
/// profile before anything is predicted.

#include "sim/machine/machine_profile.hpp"
#include "sim/timeline/timeline.hpp"

namespace apb::sim {

/// Standard deviations from the median of a normal distribution to its 10th or 90th percentile.
inline constexpr double kDeviationsToTenth = 1.2815515655446004;

/// Eight of ten measurements are expected inside [p10, p90].
struct Band {
  Seconds p10{};
  Seconds p50{};
  Seconds p90{};

  [[nodiscard]] bool holds(Seconds measured) const { return p10 <= measured && measured <= p90; }
  [[nodiscard]] bool overlaps(const Band& other) const {
    return p10 <= other.p90 && other.p10 <= p90;
  }
  /// Half of its width over its middle.
  [[nodiscard]] double half_width() const { return (p90 - p10) / (2.0 * p50); }
};

/// Log-normal around `time`, which is the median.
[[nodiscard]] Band band_around(Seconds time, double spread);

/// What can be said of two predicted times.
enum class Difference {
  kNone,               ///< the same time, but for the rounding of sums
  kIndistinguishable,  ///< different medians, but bands that overlap
  kClear,
};
[[nodiscard]] Difference difference_of(const Band& a, const Band& b);

/// Whether `a` is less than `b` by more than the rounding of sums.
[[nodiscard]] bool less_beyond_rounding(Seconds a, Seconds b);

/// Relative standard deviation of a rank's time. Numbers of one family are wrong together, families
/// one by one; the session is common to all, and what was extrapolated adds its own.
[[nodiscard]] double spread_of(const RankTime& rank, const ProvenanceTime& provenance,
                               const Spread& spread);

}  // namespace apb::sim
