#include "sim/report/bar_figure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/report/axis.hpp"
#include "sim/report/html_text.hpp"
#include "sim/report/part_style.hpp"

namespace apb::sim::report {
namespace {

constexpr double kBarHeight = 24;
constexpr double kBarPitch = 48;  // the whisker lies below its bar: nothing hides behind it
constexpr double kBarTop = 10;
constexpr double kSharePitch = 32;
constexpr int kBarNameColumns = 24;

using Pieces = std::array<Seconds, kNumPieces>;

Seconds sum_of(const Pieces& pieces) {
  Seconds sum{};
  for (const Seconds piece : pieces) sum += piece;
  return sum;
}

/// The slowest rank's time; the rest is what the time to the first token has beyond its prefill.
Pieces pieces_of(const PartBar& bar) {
  Pieces pieces{};
  std::copy(bar.parts.begin(), bar.parts.end(), pieces.begin());
  pieces[kHostPiece] = bar.host;
  pieces[kWaitingPiece] = bar.waiting;
  const Seconds rest = bar.total.p50 - sum_of(pieces);
  if (rest.number > 1e-4 * bar.total.p50.number) pieces[kRestPiece] = rest;
  return pieces;
}

/// Pieces are worth a name where one of the bars has them.
bool any_has(const std::vector<Pieces>& all, std::size_t piece) {
  return std::any_of(all.begin(), all.end(),
                     [&](const Pieces& pieces) { return pieces[piece].number > 0; });
}

/// As much of name and share as the piece has room for. Patterned pieces stay free of text.
std::string piece_label(std::size_t piece, double share, double width) {
  if (piece >= kHostPiece) return {};
  std::string percent = percent_text(share);
  std::string both = fmt::format("{} {}", piece_name(piece), percent);
  if (text_width(both) + 6 <= width) return both;
  return text_width(percent) + 4 <= width ? percent : std::string();
}

void draw_name(Drawing& drawing, const PartBar& bar, double right, double y) {
  drawing.text({right, y + 17}, "end", shortened(bar.name, kBarNameColumns));
}

/// The pieces one after the other; `scale` is in seconds.
void draw_pieces(Drawing& drawing, const PartBar& bar, const Pieces& pieces, const Scale& scale,
                 double y) {
  Seconds begin{};
  for (std::size_t piece = 0; piece < kNumPieces; ++piece) {
    if (!(pieces[piece].number > 0)) continue;
    const double x = scale(begin.number);
    begin += pieces[piece];
    const double width = scale(begin.number) - x;
    const double share = pieces[piece] / sum_of(pieces);
    drawing.rect({x, y}, width, kBarHeight, "piece " + piece_style(piece),
                 fmt::format("{}: {} {}, {}", bar.name, piece_name(piece), time_text(pieces[piece]),
                             percent_text(share)));
    const std::string label = piece_label(piece, share, width);
    if (!label.empty()) {
      drawing.text({x + width / 2, y + 17}, "middle on-" + piece_style(piece), label);
    }
  }
}

/// "0.76 s (0.70 s – 0.83 s)"
std::string total_text(const Band& total) {
  return fmt::format("{} ({} – {})", time_text(total.p50), time_text(total.p10),
                     time_text(total.p90));
}

void draw_total(Drawing& drawing, const Band& total, const Scale& scale, Seconds end, double y) {
  const double low = scale(total.p10.number);
  const double high = scale(total.p90.number);
  const double whisker = y + kBarHeight + 7;
  drawing.line({low, whisker}, {high, whisker}, "whisker");
  for (const double x : {low, scale(total.p50.number), high}) {
    drawing.line({x, whisker - 4}, {x, whisker + 4}, "whisker");
  }
  drawing.text({std::max(scale(end.number), high) + 8, y + 17}, "", total_text(total));
}

/// One bar a method on a common axis of time. \returns where it ends
double draw_times(Drawing& drawing, const std::vector<PartBar>& bars,
                  const std::vector<Pieces>& all, double left) {
  Seconds longest{};
  double widest = 0;  // of the totals' texts, behind the bars
  for (std::size_t i = 0; i < bars.size(); ++i) {
    longest = std::max({longest, bars[i].total.p90, sum_of(all[i])});
    widest = std::max(widest, text_width(total_text(bars[i].total)));
  }
  const TimeUnit unit = unit_for(longest);
  const Scale scale{0, longest.number, left, kFigureWidth - widest - 10};
  const double bottom = kBarTop + kBarPitch * static_cast<double>(bars.size());
  std::vector<Tick> ticks = round_ticks({0, longest.number * unit.per_second, 0, 1});
  for (Tick& tick : ticks) tick.value /= unit.per_second;
  draw_x_axis(drawing, scale, ticks, kBarTop - 6, bottom,
              fmt::format("time to the first token [{}]", unit.name));
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = kBarTop + kBarPitch * static_cast<double>(i);
    draw_name(drawing, bars[i], left - 10, y);
    draw_pieces(drawing, bars[i], all[i], scale, y);
    draw_total(drawing, bars[i].total, scale, sum_of(all[i]), y);
  }
  return bottom + kXAxisHeight;
}

/// The same bars, each as long as the others: what a short one is made of. \returns where it ends
double draw_shares(Drawing& drawing, const std::vector<PartBar>& bars,
                   const std::vector<Pieces>& all, double left, double top) {
  const double right = kFigureWidth - 24;
  const double bottom = top + kSharePitch * static_cast<double>(bars.size());
  const Scale percent{0, 100, left, right};
  draw_x_axis(drawing, percent, round_ticks(percent), top - 6, bottom, "share of its time [%]");
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const double y = top + kSharePitch * static_cast<double>(i);
    draw_name(drawing, bars[i], left - 10, y);
    draw_pieces(drawing, bars[i], all[i], {0, sum_of(all[i]).number, left, right}, y);
  }
  return bottom + kXAxisHeight;
}

ReportTable bar_table(const std::vector<PartBar>& bars, const std::vector<Pieces>& all) {
  ReportTable table;
  table.header = {"method", "total", "p10", "p90"};
  for (std::size_t piece = 0; piece < kNumPieces; ++piece) {
    if (any_has(all, piece)) table.header.emplace_back(piece_name(piece));
  }
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const Band& total = bars[i].total;
    std::vector<std::string>& row = table.rows.emplace_back();
    row = {bars[i].name, time_text(total.p50), time_text(total.p10), time_text(total.p90)};
    for (std::size_t piece = 0; piece < kNumPieces; ++piece) {
      if (any_has(all, piece)) row.push_back(time_text(all[i][piece]));
    }
  }
  return table;
}

}  // namespace

Figure bar_figure(const std::vector<PartBar>& bars) {
  std::vector<PartBar> shown;
  std::copy_if(bars.begin(), bars.end(), std::back_inserter(shown), [](const PartBar& bar) {
    return std::isfinite(bar.total.p90.number) && bar.total.p90.number > 0;
  });
  Figure figure;
  if (shown.empty()) return figure;

  std::vector<Pieces> all;
  double names = 0;
  for (const PartBar& bar : shown) {
    all.push_back(pieces_of(bar));
    names = std::max(names, text_width(shortened(bar.name, kBarNameColumns)));
  }
  Drawing drawing;
  double height = draw_times(drawing, shown, all, names + 12);
  height = draw_shares(drawing, shown, all, names + 12, height + kBarTop);

  const auto fastest = std::min_element(
      shown.begin(), shown.end(),
      [](const PartBar& a, const PartBar& b) { return a.total.p50 < b.total.p50; });
  figure.id = "parts";
  figure.heading = "Where the time goes";
  figure.svg = drawing.framed(height, "Time to the first token by method and part",
                              fmt::format("{} methods; the fastest is {} with {}.", shown.size(),
                                          fastest->name, time_text(fastest->total.p50)));
  for (std::size_t piece = 0; piece < kNumPieces; ++piece) {
    if (any_has(all, piece))
      figure.legend += filled_legend_entry(piece_style(piece), piece_name(piece));
  }
  figure.caption =
      "The slowest rank of each method, all layers. Above: compare how long the bars are. The "
      "whisker below a bar, and the brackets, are the band in which eight of ten measurements are "
      "expected: where two overlap, the order is not certain. Below: the same bars drawn equally "
      "long, to see which part a method spends its time on.";
  if (any_has(all, kRestPiece)) {
    figure.caption += " Rest: query pass, LM head, and whatever else is outside the layers.";
  }
  figure.table = bar_table(shown, all);
  return figure;
}

}  // namespace apb::sim::report
