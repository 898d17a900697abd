#include "sim/report/scatter_figure.hpp"

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

constexpr double kScatterTop = 14;
constexpr double kScatterHeight = 320;
/// A sweep may have a million points; so many show its shape.
constexpr std::size_t kMostBeaten = 1500;
constexpr std::size_t kMostFrontRows = 200;
constexpr std::size_t kMostBeatenRows = 50;
constexpr std::size_t kMostNumbers = 30;

bool can_be_drawn(const ParetoPoint& point) {
  return std::isfinite(point.seconds.number) && point.seconds.number > 0 && point.gpus > 0 &&
         std::isfinite(point.cost.value_or(0));
}

/// The front by time.
std::vector<ParetoPoint> front_of(const std::vector<ParetoPoint>& points) {
  std::vector<ParetoPoint> front;
  std::copy_if(points.begin(), points.end(), std::back_inserter(front),
               [](const ParetoPoint& point) { return point.on_front && can_be_drawn(point); });
  std::stable_sort(front.begin(), front.end(), [](const ParetoPoint& a, const ParetoPoint& b) {
    return a.seconds < b.seconds;
  });
  return front;
}

/// The others, as they come: neighbours in a sweep are alike, so that every k-th shows its shape.
std::vector<ParetoPoint> beaten_of(const std::vector<ParetoPoint>& points, std::size_t& total) {
  const auto beaten = [](const ParetoPoint& point) {
    return !point.on_front && can_be_drawn(point);
  };
  total = static_cast<std::size_t>(std::count_if(points.begin(), points.end(), beaten));
  const std::size_t every = (total + kMostBeaten - 1) / kMostBeaten;
  std::vector<ParetoPoint> drawn;
  std::size_t number = 0;
  for (const ParetoPoint& point : points) {
    if (beaten(point) && number++ % every == 0) drawn.push_back(point);
  }
  return drawn;
}

std::string point_text(const ParetoPoint& point) {
  std::string text = fmt::format("{}: {}, {} GPU{}", point.label, time_text(point.seconds),
                                 with_separators(point.gpus), point.gpus == 1 ? "" : "s");
  if (point.cost) text += fmt::format(", cost {}", number_text(*point.cost));
  if (point.quality) text += fmt::format(", quality {}", number_text(*point.quality));
  return text;
}

/// Low and high with room around them; logarithmic where a linear axis would hide half of it.
Scale roomy_scale(const std::vector<double>& values, double begin, double end, bool logarithmic) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (logarithmic) return {*low / 1.25, *high * 1.25, begin, end, true};
  return {0, 1.1 * *high, begin, end, false};
}

bool spans_much(const std::vector<double>& values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  return *low > 0 && *high / *low > 8;
}

struct ScatterPlot {
  bool by_cost = false;
  Scale x;
  Scale y;
  TimeUnit unit;

  [[nodiscard]] Point at(const ParetoPoint& point) const {
    return {x(by_cost ? *point.cost : static_cast<double>(point.gpus)),
            y(point.seconds.number * unit.per_second)};
  }
};

ScatterPlot scatter_plot(const std::vector<ParetoPoint>& points) {
  ScatterPlot plot;
  plot.by_cost = std::all_of(points.begin(), points.end(), [](const ParetoPoint& point) {
    return point.cost.has_value() && *point.cost >= 0;
  });
  std::vector<double> prices;
  std::vector<double> times;
  for (const ParetoPoint& point : points) {
    prices.push_back(plot.by_cost ? *point.cost : static_cast<double>(point.gpus));
    times.push_back(point.seconds.number);
  }
  plot.unit = unit_for(Seconds(*std::max_element(times.begin(), times.end())));
  for (double& time : times) time *= plot.unit.per_second;
  const bool free_of_charge = *std::max_element(prices.begin(), prices.end()) <= 0;
  if (free_of_charge) prices.push_back(1);
  plot.x =
      roomy_scale(prices, kYAxisWidth + 8, kFigureWidth - 16, !plot.by_cost || spans_much(prices));
  plot.y = roomy_scale(times, kScatterTop + kScatterHeight, kScatterTop, spans_much(times));
  return plot;
}

std::vector<Tick> price_ticks(const ScatterPlot& plot, const std::vector<ParetoPoint>& points) {
  if (plot.by_cost) return round_ticks(plot.x);
  std::set<Index> gpus;
  for (const ParetoPoint& point : points) gpus.insert(point.gpus);
  std::vector<Tick> ticks;
  for (const Index count : gpus)
    ticks.push_back({static_cast<double>(count), with_separators(count)});
  return ticks;
}

/// Cost and quality where any point has one.
ReportTable pareto_table(const std::vector<ParetoPoint>& points, std::size_t num_front) {
  const auto any = [&](auto what) {
    return std::ranges::any_of(points,
                               [&](const ParetoPoint& one) { return (one.*what).has_value(); });
  };
  const bool with_cost = any(&ParetoPoint::cost);
  const bool with_quality = any(&ParetoPoint::quality);
  ReportTable table;
  table.header = {"number", "configuration", "time", "GPUs"};
  if (with_cost) table.header.emplace_back("cost per 1M tokens");
  if (with_quality) table.header.emplace_back("quality");
  for (std::size_t i = 0; i < std::min(points.size(), num_front + kMostBeatenRows); ++i) {
    if (i >= kMostFrontRows && i < num_front) continue;
    const ParetoPoint& point = points[i];
    std::vector<std::string> row{i < num_front ? std::to_string(i + 1) : "–", point.label,
                                 time_text(point.seconds), with_separators(point.gpus)};
    if (with_cost) row.push_back(point.cost ? number_text(*point.cost) : "–");
    if (with_quality) row.push_back(point.quality ? number_text(*point.quality) : "–");
    table.rows.push_back(std::move(row));
  }
  return table;
}

}  // namespace

Figure scatter_figure(const std::vector<ParetoPoint>& points) {
  std::size_t num_beaten = 0;
  std::vector<ParetoPoint> shown = front_of(points);
  const std::size_t num_front = shown.size();
  for (ParetoPoint& point : beaten_of(points, num_beaten)) shown.push_back(std::move(point));
  Figure figure;
  if (shown.empty()) return figure;

  const ScatterPlot plot = scatter_plot(shown);
  const double bottom = kScatterTop + kScatterHeight;
  Drawing drawing;
  draw_x_axis(drawing, plot.x, price_ticks(plot, shown), kScatterTop, bottom,
              plot.by_cost ? "cost per million tokens" : "GPUs");
  draw_y_axis(drawing, plot.y, round_ticks(plot.y), plot.x.begin, plot.x.end,
              fmt::format("time to the first token [{}]{}", plot.unit.name,
                          plot.y.logarithmic ? ", logarithmic" : ""));
  std::vector<Point> places;
  for (const ParetoPoint& point : shown) places.push_back(plot.at(point));
  for (std::size_t i = shown.size(); i-- > 0;) {  // the front last: on top
    drawing.marker(places[i], i < num_front ? 3 : 0, i < num_front ? "c1" : "beaten",
                   point_text(shown[i]));
  }
  NumberPlaces numbers(places, {plot.x.begin, kScatterTop}, {plot.x.end, bottom});
  for (std::size_t i = 0; i < std::min(num_front, kMostNumbers); ++i) {
    if (const auto place = numbers.next_to(places[i])) {
      drawing.text({place->x, place->y + 4.5}, "middle strong halo", std::to_string(i + 1));
    }
    figure.key += fmt::format("<li>{}</li>\n", escaped(point_text(shown[i])));
  }
  if (!figure.key.empty()) figure.key = "<ol>\n" + figure.key + "</ol>\n";

  figure.id = "pareto";
  figure.heading = "What cannot be beaten";
  figure.svg = drawing.framed(
      bottom + kXAxisHeight, "Configurations by time and price",
      fmt::format("{} configurations, {} of them on the Pareto front.",
                  with_separators(static_cast<Index>(num_front + num_beaten)), num_front));
  figure.caption =
      "Every point is a configuration; low and left is good. Numbered diamonds are the Pareto "
      "front: "
      "nothing else is at least as good in everything that counts (the quality too, where it is "
      "given). A pale circle can be replaced by a diamond without loss.";
  if (num_front > kMostNumbers) {
    figure.caption += fmt::format(
        " Of {} diamonds the first {} are listed; the table has {}.", num_front, kMostNumbers,
        num_front > kMostFrontRows ? fmt::format("the first {}, --csv all", kMostFrontRows)
                                   : "all");
  }
  const std::size_t num_drawn = shown.size() - num_front;
  if (num_drawn < num_beaten) {
    figure.caption += fmt::format(" Of {} circles {} are drawn, evenly chosen.",
                                  with_separators(static_cast<Index>(num_beaten)),
                                  with_separators(static_cast<Index>(num_drawn)));
  }
  figure.table = pareto_table(shown, num_front);
  return figure;
}

}  // namespace apb::sim::report
