#include "sim/report/tornado_figure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/report/axis.hpp"
#include "sim/report/html_text.hpp"

namespace apb::sim::report {
namespace {

constexpr double kHalfBarHeight = 17;  // a bar for each end: their labels never meet
constexpr double kTornadoPitch = 46;
constexpr double kTornadoTop = 24;
constexpr int kInputColumns = 22;
constexpr int kEndColumns = 20;
constexpr std::size_t kMostInputs = 20;

Seconds swing(const TornadoBar& bar) {
  const Seconds low = std::min({bar.low_seconds, bar.base_seconds, bar.high_seconds});
  return std::max({bar.low_seconds, bar.base_seconds, bar.high_seconds}) - low;
}

/// The largest swings first.
std::vector<TornadoBar> by_swing(const std::vector<TornadoBar>& bars) {
  std::vector<TornadoBar> sorted;
  std::copy_if(bars.begin(), bars.end(), std::back_inserter(sorted),
               [](const TornadoBar& bar) { return std::isfinite(swing(bar).number); });
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const TornadoBar& a, const TornadoBar& b) { return swing(b) < swing(a); });
  sorted.resize(std::min(sorted.size(), kMostInputs));
  return sorted;
}

std::string end_text(const std::string& label, Seconds time) {
  return fmt::format("{}: {}", shortened(label, kEndColumns), time_text(time));
}

struct TornadoPlot {
  double names = 0;  ///< width of the inputs' names
  Scale x;
};

/// The axis leaves room for the longest label on either side.
TornadoPlot tornado_plot(const std::vector<TornadoBar>& bars) {
  Seconds low = bars[0].base_seconds;
  Seconds high = low;
  double left = 0;
  double right = 0;
  TornadoPlot plot;
  for (const TornadoBar& bar : bars) {
    plot.names = std::max(plot.names, text_width(shortened(bar.input, kInputColumns)));
    const auto measure = [&](const std::string& label, Seconds time) {
      const double width = text_width(end_text(label, time)) + 10;
      double& side = time < bar.base_seconds ? left : right;
      side = std::max(side, width);
    };
    measure(bar.low_label, bar.low_seconds);
    measure(bar.high_label, bar.high_seconds);
    low = std::min({low, bar.low_seconds, bar.base_seconds, bar.high_seconds});
    high = std::max({high, bar.low_seconds, bar.base_seconds, bar.high_seconds});
  }
  if (low == high) high += Seconds(std::max(1e-9, high.number));
  plot.x = {low.number, high.number, plot.names + 12 + left, kFigureWidth - 2 - right};
  return plot;
}

void draw_end(Drawing& drawing, const TornadoBar& bar, bool high, const Scale& x, double y) {
  const Seconds time = high ? bar.high_seconds : bar.low_seconds;
  const std::string& label = high ? bar.high_label : bar.low_label;
  const double base = x(bar.base_seconds.number);
  const double end = x(time.number);
  drawing.rect({std::min(base, end), y}, std::max(1.0, std::abs(end - base)), kHalfBarHeight - 1,
               high ? "piece input-high" : "piece input-low",
               fmt::format("{} at {}: {}", bar.input, label, time_text(time)));
  const bool leftwards = time < bar.base_seconds;
  drawing.text({leftwards ? end - 6 : end + 6, y + 12.5}, leftwards ? "end" : "",
               end_text(label, time));
}

ReportTable tornado_table(const std::vector<TornadoBar>& bars) {
  ReportTable table;
  table.header = {"input", "low", "time", "high", "time", "base", "swing [%]"};
  for (const TornadoBar& bar : bars) {
    table.rows.push_back({bar.input, bar.low_label, time_text(bar.low_seconds), bar.high_label,
                          time_text(bar.high_seconds), time_text(bar.base_seconds),
                          number_text(100 * (swing(bar) / bar.base_seconds))});
  }
  return table;
}

}  // namespace

Figure tornado_figure(const std::vector<TornadoBar>& bars, std::string_view of) {
  const std::vector<TornadoBar> shown = by_swing(bars);
  Figure figure;
  if (shown.empty()) return figure;

  const TornadoPlot plot = tornado_plot(shown);
  const TimeUnit unit = unit_for(Seconds(plot.x.high));
  const double bottom = kTornadoTop + kTornadoPitch * static_cast<double>(shown.size());
  std::vector<Tick> ticks =
      round_ticks({plot.x.low * unit.per_second, plot.x.high * unit.per_second, 0, 1}, 4);
  for (Tick& tick : ticks) tick.value /= unit.per_second;
  Drawing drawing;
  draw_x_axis(drawing, plot.x, ticks, kTornadoTop - 4, bottom,
              fmt::format("time to the first token [{}]", unit.name));
  for (std::size_t i = 0; i < shown.size(); ++i) {
    const double y = kTornadoTop + 4 + kTornadoPitch * static_cast<double>(i);
    drawing.text({0, y + kHalfBarHeight + 4}, "", shortened(shown[i].input, kInputColumns));
    draw_end(drawing, shown[i], false, plot.x, y);
    draw_end(drawing, shown[i], true, plot.x, y + kHalfBarHeight);
  }
  const Seconds base = shown[0].base_seconds;
  drawing.line({plot.x(base.number), kTornadoTop - 6}, {plot.x(base.number), bottom}, "one");
  drawing.text({plot.x(base.number), kTornadoTop - 10}, "middle strong",
               fmt::format("base {}", time_text(base)));

  figure.id = "tornado";
  figure.heading = "What moves the answer";
  if (!of.empty()) figure.heading += fmt::format(": {}", of);
  figure.svg =
      drawing.framed(bottom + kXAxisHeight, "Change of the time to the first token by input",
                     fmt::format("{} inputs; {} moves the time most, by {}.", shown.size(),
                                 shown[0].input, time_text(swing(shown[0]))));
  figure.legend = filled_legend_entry("input-low", "input at its low end") +
                  filled_legend_entry("input-high", "input at its high end");
  figure.caption =
      "One input at a time, all others as they are; the longest swing comes first. Measure what is "
      "at the top on your own machine before you trust the answer; what is at the bottom does not "
      "matter. The axis does not begin at zero.";
  if (shown.size() < bars.size()) {
    figure.caption +=
        fmt::format(" Of {} inputs the first {} are shown.", bars.size(), shown.size());
  }
  figure.table = tornado_table(shown);
  return figure;
}

}  // namespace apb::sim::report
