#pragma once
/// \file
/// Where labels stand so that none covers another.

#include <optional>

#include "sim/report/drawing.hpp"

namespace apb::sim::report {

inline constexpr double kLabelLineHeight = 17;

/// Heights of labels in one column: as near to the wanted ones as others allow, in the same order.
[[nodiscard]] std::vector<double> spread_labels(std::vector<double> wanted, double top,
                                                double bottom);

/// Puts short numbers beside points, where neither a point nor another number is.
class NumberPlaces {
 public:
  /// \param low, high corners of the area that they stay in
  NumberPlaces(std::vector<Point> points, Point low, Point high);

  /// The nearest free place; none if the neighbourhood is full.
  std::optional<Point> next_to(Point point);

 private:
  [[nodiscard]] bool free(Point place) const;

  std::vector<Point> points_;
  std::vector<Point> numbers_;
  Point low_;
  Point high_;
};

}  // namespace apb::sim::report
