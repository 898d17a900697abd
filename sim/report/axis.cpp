#include "sim/report/axis.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "sim/report/html_text.hpp"

namespace apb::sim::report {
namespace {

constexpr std::array<double, 3> kRoundSteps{1, 2, 5};

std::vector<Tick> even_ticks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double round : kRoundSteps) {
    if (round * power >= rough) {
      step = round * power;
      break;
    }
  }
  std::vector<Tick> ticks;
  const auto first = static_cast<Index>(std::ceil(low / step - 1e-9));
  const auto last = static_cast<Index>(std::floor(high / step + 1e-9));
  for (Index i = first; i <= last; ++i) {
    const double value = static_cast<double>(i) * step;
    ticks.push_back(
        {value, std::abs(value) >= 1e4 ? number_text(value) : fmt::format("{:.6g}", value)});
  }
  return ticks;
}

std::vector<Tick> decade_ticks(double low, double high) {
  std::vector<Tick> ticks;
  const int last = static_cast<int>(std::ceil(std::log10(high)));
  for (int decade = static_cast<int>(std::floor(std::log10(low))); decade <= last; ++decade) {
    for (const double round : kRoundSteps) {
      const double value = round * std::pow(10.0, decade);
      if (value < low * (1 - 1e-9) || value > high * (1 + 1e-9)) continue;
      ticks.push_back({value, value >= 1e4 ? number_text(value) : fmt::format("{:.6g}", value)});
    }
  }
  return ticks;
}

}  // namespace

double Scale::operator()(double value) const {
  const double share =
      logarithmic ? std::log(value / low) / std::log(high / low) : (value - low) / (high - low);
  return begin + share * (end - begin);
}

std::vector<Tick> round_ticks(const Scale& scale, int count) {
  if (!scale.logarithmic) return even_ticks(scale.low, scale.high, count);
  std::vector<Tick> ticks = decade_ticks(scale.low, scale.high);
  return ticks.size() >= 3 ? ticks : even_ticks(scale.low, scale.high, count);
}

TimeUnit unit_for(Seconds longest) {
  if (longest.number >= 0.1) return {1, "s"};
  return longest.number >= 1e-4 ? TimeUnit{1e3, "ms"} : TimeUnit{1e6, "µs"};
}

void draw_x_axis(Drawing& drawing, const Scale& scale, const std::vector<Tick>& ticks, double top,
                 double bottom, std::string_view title) {
  double free_from = 0;
  for (const Tick& tick : ticks) {
    const double x = scale(tick.value);
    drawing.line({x, top}, {x, bottom}, "grid");
    const double half = text_width(tick.label) / 2;
    if (x - half < free_from || x + half > kFigureWidth) continue;
    drawing.text({x, bottom + 17}, "middle faint", tick.label);
    free_from = x + half + 6;
  }
  drawing.line({scale.begin, bottom}, {scale.end, bottom}, "axis");
  drawing.text({(scale.begin + scale.end) / 2, bottom + 38}, "middle", title);
}

void draw_y_axis(Drawing& drawing, const Scale& scale, const std::vector<Tick>& ticks, double left,
                 double right, std::string_view title) {
  constexpr double kLineHeight = 16;
  double free_below = scale.begin + kLineHeight;
  for (const Tick& tick : ticks) {
    const double y = scale(tick.value);
    drawing.line({left, y}, {right, y}, "grid");
    if (y > free_below - kLineHeight) continue;
    drawing.text({left - 8, y + 4.5}, "end faint", tick.label);
    free_below = y;
  }
  drawing.line({left, scale.begin}, {left, scale.end}, "axis");
  drawing.turned_text({left - 48, (scale.begin + scale.end) / 2}, "", title);
}

}  // namespace apb::sim::report
