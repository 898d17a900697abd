#pragma once
/// \file
/// From quantities to pixels, and the marks beside them.

#include <string>
#include <string_view>
#include <vector>

#include "sim/report/drawing.hpp"
#include "sim/units.hpp"

namespace apb::sim::report {

/// Maps [low, high] to [begin, end] pixels; end < begin where values grow upwards.
struct Scale {
  double low = 0;
  double high = 1;
  double begin = 0;
  double end = 1;
  bool logarithmic = false;  ///< needs 0 < low

  [[nodiscard]] double operator()(double value) const;
};

struct Tick {
  double value = 0;
  std::string label;
};

/// Multiples of 1, 2 or 5 times a power of ten; at most about `count`. On a logarithmic scale over
/// less than a decade too.
[[nodiscard]] std::vector<Tick> round_ticks(const Scale& scale, int count = 6);

/// s, ms or µs: what suits the longest time of an axis.
struct TimeUnit {
  double per_second = 1;
  std::string_view name = "s";
};
[[nodiscard]] TimeUnit unit_for(Seconds longest);

/// A grid line and a label below `bottom` for every tick whose label has room, and what is
/// measured.
void draw_x_axis(Drawing& drawing, const Scale& scale, const std::vector<Tick>& ticks, double top,
                 double bottom, std::string_view title);

/// The same at the left of a plot.
void draw_y_axis(Drawing& drawing, const Scale& scale, const std::vector<Tick>& ticks, double left,
                 double right, std::string_view title);

/// Pixels that draw_x_axis takes below `bottom`, and draw_y_axis left of `left`.
inline constexpr double kXAxisHeight = 46;
inline constexpr double kYAxisWidth = 62;

}  // namespace apb::sim::report
