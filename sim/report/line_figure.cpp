#include "sim/report/line_figure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "reference/cli/text_table.hpp"
#include "sim/report/axis.hpp"
#include "sim/report/html_text.hpp"
#include "sim/report/label_places.hpp"

namespace apb::sim::report {
namespace {

constexpr double kLineTop = 12;
constexpr int kLineNameColumns = 22;
/// Beyond this ratio, a linear axis would press what is below it together.
constexpr double kLinearRatio = 12;

/// Points that can be drawn; on either axis only what is positive can.
std::vector<Series> drawable(const std::vector<Series>& series) {
  std::vector<Series> shown;
  for (const Series& one : series) {
    Series& copy = shown.emplace_back(Series{one.method, {}});
    for (const SpeedupPoint& point : one.points) {
      if (point.tokens > 0 && point.low > 0 && point.low <= point.speedup &&
          point.speedup <= point.high && std::isfinite(point.high)) {
        copy.points.push_back(point);
      }
    }
    if (copy.points.empty()) shown.pop_back();
  }
  return shown;
}

struct SpeedupPlot {
  Scale x;
  Scale y;
  std::set<Index> tokens;
};

SpeedupPlot plot_for(const std::vector<Series>& series, double right, double height) {
  SpeedupPlot plot;
  double low = 1;
  double high = 1;
  for (const Series& one : series) {
    for (const SpeedupPoint& point : one.points) {
      plot.tokens.insert(point.tokens);
      low = std::min(low, point.low);
      high = std::max(high, point.high);
    }
  }
  auto shortest = static_cast<double>(*plot.tokens.begin());
  auto longest = static_cast<double>(*plot.tokens.rbegin());
  if (shortest == longest) {  // one length stands in the middle
    shortest /= 2;
    longest *= 2;
  }
  plot.x = {shortest, longest, kYAxisWidth + 8, right - 10, true};
  const bool logarithmic = high / low > kLinearRatio;
  plot.y = {logarithmic ? low / 1.1 : 0, 1.08 * high, kLineTop + height, kLineTop, logarithmic};
  return plot;
}

std::string stroke_of(std::size_t number) {
  return fmt::format("line s{}{}", number % kNumColours,
                     number / kNumColours % 2 == 1 ? " dashed" : "");
}

void draw_series(Drawing& drawing, const Series& series, std::size_t number,
                 const SpeedupPlot& plot) {
  std::vector<Point> line;
  for (const SpeedupPoint& point : series.points) {
    line.push_back({plot.x(static_cast<double>(point.tokens)), plot.y(point.speedup)});
  }
  drawing.path(line, stroke_of(number));
  for (std::size_t i = 0; i < line.size(); ++i) {
    const SpeedupPoint& point = series.points[i];
    drawing.marker(
        line[i], number, fmt::format("dot c{}", number % kNumColours),
        fmt::format("{}, {} tokens: {} × ({} – {})", series.method, with_separators(point.tokens),
                    number_text(point.speedup), number_text(point.low), number_text(point.high)));
  }
}

void shade_band(Drawing& drawing, const Series& series, std::size_t number,
                const SpeedupPlot& plot) {
  std::vector<Point> edge;
  for (const SpeedupPoint& point : series.points) {
    edge.push_back({plot.x(static_cast<double>(point.tokens)), plot.y(point.high)});
  }
  for (auto point = series.points.rbegin(); point != series.points.rend(); ++point) {
    edge.push_back({plot.x(static_cast<double>(point->tokens)), plot.y(point->low)});
  }
  drawing.area(edge, fmt::format("band c{}", number % kNumColours));
}

/// Names at the right, with marker and, for lines that reach so far, a lead to their ends.
void name_lines(Drawing& drawing, const std::vector<Series>& series, const SpeedupPlot& plot) {
  std::vector<double> ends;
  for (const Series& one : series) ends.push_back(plot.y(one.points.back().speedup));
  ends.push_back(plot.y(1));
  const std::vector<double> at = spread_labels(ends, plot.y.end, plot.y.begin);
  const double left = plot.x.end + 12;
  for (std::size_t i = 0; i < at.size(); ++i) {
    const bool baseline = i == series.size();
    if (baseline || series[i].points.back().tokens == *plot.tokens.rbegin()) {
      drawing.line({plot.x.end + 4, ends[i]}, {left + 10, at[i]}, "lead");
    }
    if (!baseline) {
      drawing.marker({left + 18, at[i]}, i, fmt::format("dot c{}", i % kNumColours));
    }
    drawing.text({left + (baseline ? 14 : 28), at[i] + 4.5}, baseline ? "faint" : "",
                 baseline ? "baseline" : shortened(series[i].method, kLineNameColumns));
  }
}

std::string line_legend_entry(std::string_view method, std::size_t number) {
  Drawing swatch;
  const double middle = kSwatchHeight / 2;
  swatch.line({0, middle}, {kSwatchWidth, middle}, stroke_of(number));
  swatch.marker({kSwatchWidth / 2, middle}, number, fmt::format("dot c{}", number % kNumColours));
  return swatch.legend_entry(method);
}

ReportTable speedup_table(const std::vector<Series>& series, const std::set<Index>& tokens) {
  ReportTable table;
  table.header = {"tokens"};
  for (const Series& one : series) table.header.push_back(one.method);
  for (const Index length : tokens) {
    std::vector<std::string>& row = table.rows.emplace_back();
    row.push_back(with_separators(length));
    for (const Series& one : series) {
      const auto point =
          std::find_if(one.points.begin(), one.points.end(),
                       [&](const SpeedupPoint& candidate) { return candidate.tokens == length; });
      row.push_back(point == one.points.end()
                        ? "–"
                        : fmt::format("{} ({}\u00a0–\u2060\u00a0{})", number_text(point->speedup),
                                      number_text(point->low), number_text(point->high)));
    }
  }
  return table;
}

}  // namespace

Figure line_figure(const std::vector<Series>& series, std::string_view baseline) {
  const std::vector<Series> shown = drawable(series);
  Figure figure;
  if (shown.empty()) return figure;

  double names = text_width("baseline");
  for (const Series& one : shown) {
    names = std::max(names, text_width(shortened(one.method, kLineNameColumns)));
  }
  const double height = std::max(300.0, kLabelLineHeight * static_cast<double>(shown.size() + 2));
  const SpeedupPlot plot = plot_for(shown, kFigureWidth - names - 34, height);
  std::vector<Tick> lengths;
  for (const Index length : plot.tokens) {
    lengths.push_back({static_cast<double>(length), with_separators(length)});
  }
  Drawing drawing;
  draw_x_axis(drawing, plot.x, lengths, kLineTop, kLineTop + height, "document length [tokens]");
  draw_y_axis(drawing, plot.y, round_ticks(plot.y), plot.x.begin, plot.x.end,
              plot.y.logarithmic ? "speedup [×], logarithmic" : "speedup [×]");
  for (std::size_t i = 0; i < shown.size(); ++i) shade_band(drawing, shown[i], i, plot);
  drawing.line({plot.x.begin, plot.y(1)}, {plot.x.end, plot.y(1)}, "one");
  for (std::size_t i = 0; i < shown.size(); ++i) draw_series(drawing, shown[i], i, plot);
  name_lines(drawing, shown, plot);

  figure.id = "speedup";
  figure.heading = "Speedup over length";
  figure.svg = drawing.framed(
      kLineTop + height + kXAxisHeight, fmt::format("Speedup over {} against length", baseline),
      fmt::format("{} methods at {} lengths, from {} to {} tokens.", shown.size(),
                  plot.tokens.size(), with_separators(*plot.tokens.begin()),
                  with_separators(*plot.tokens.rbegin())));
  for (std::size_t i = 0; i < shown.size(); ++i) {
    figure.legend += line_legend_entry(shown[i].method, i);
  }
  figure.narrow_legend = true;
  figure.caption = fmt::format(
      "Speedup over {}: the dashed line at 1. A method pays off where its line, and all of its "
      "shaded band, is above it. Lines that end early run out of memory or are not defined there.",
      baseline);
  figure.table = speedup_table(shown, plot.tokens);
  return figure;
}

}  // namespace apb::sim::report
