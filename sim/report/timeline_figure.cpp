#include "sim/report/timeline_figure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "sim/report/axis.hpp"
#include "sim/report/html_text.hpp"
#include "sim/report/part_style.hpp"

namespace apb::sim::report {
namespace {

constexpr double kStreamHeight = 16;
constexpr double kRankPitch = 44;
constexpr double kTimelineTop = 10;
constexpr double kTimelineLeft = 142;
constexpr double kTimelineRight = 16;
/// More ranks make a tower that nobody reads; the table has them all.
constexpr int kMostRanks = 16;

/// The piece whose colour an interval has. Exchanges carry the name of their collective.
std::size_t piece_of(const Interval& interval) {
  if (interval.waiting) return kWaitingPiece;
  if (interval.communication) return static_cast<std::size_t>(Part::kCommunication);
  const auto* const part = std::find(kPartNames.begin(), kPartNames.end(), interval.name);
  return part == kPartNames.end() ? kHostPiece
                                  : static_cast<std::size_t>(part - kPartNames.begin());
}

/// Ranks that have a row: all, or the first ones and the last.
std::vector<int> ranks_with_rows(int num_ranks) {
  std::vector<int> ranks;
  for (int rank = 0; rank < std::min(num_ranks, kMostRanks); ++rank) ranks.push_back(rank);
  if (num_ranks > kMostRanks) ranks.back() = num_ranks - 1;
  return ranks;
}

std::vector<Interval> with_length(const std::vector<Interval>& intervals, int num_ranks) {
  std::vector<Interval> shown;
  std::copy_if(intervals.begin(), intervals.end(), std::back_inserter(shown),
               [&](const Interval& interval) {
                 return interval.rank >= 0 && interval.rank < num_ranks &&
                        interval.begin < interval.end && std::isfinite(interval.end.number);
               });
  return shown;
}

void name_rows(Drawing& drawing, const std::vector<int>& ranks, double right) {
  double y = kTimelineTop;
  for (const int rank : ranks) {
    drawing.text({0, y + 13}, "strong", fmt::format("rank {}", rank));
    drawing.text({kTimelineLeft - 8, y + 13}, "end faint", "compute");
    drawing.text({kTimelineLeft - 8, y + 2 + kStreamHeight + 13}, "end faint", "comm.");
    drawing.rect({kTimelineLeft, y}, right - kTimelineLeft, kStreamHeight, "lane");
    drawing.rect({kTimelineLeft, y + 2 + kStreamHeight}, right - kTimelineLeft, kStreamHeight,
                 "lane");
    y += kRankPitch;
  }
}

void draw_interval(Drawing& drawing, const Interval& interval, std::size_t row,
                   const Scale& scale) {
  const double x = scale(interval.begin.number);
  const double width = std::max(0.2, scale(interval.end.number) - x);
  const double y = kTimelineTop + kRankPitch * static_cast<double>(row) +
                   (interval.communication ? 2 + kStreamHeight : 0);
  drawing.rect({x, y}, width, kStreamHeight, "piece thin " + piece_style(piece_of(interval)),
               fmt::format("rank {}, {}: {}, {} from {}", interval.rank,
                           interval.communication ? "communication" : "compute", interval.name,
                           time_text(interval.end - interval.begin), time_text(interval.begin)));
}

ReportTable timeline_table(const std::vector<Interval>& intervals, int num_ranks, Seconds end) {
  struct Sums {
    Seconds compute, communication, waiting;
  };
  std::vector<Sums> ranks(static_cast<std::size_t>(num_ranks));
  for (const Interval& interval : intervals) {
    Sums& sums = ranks[static_cast<std::size_t>(interval.rank)];
    Seconds& sum = interval.waiting         ? sums.waiting
                   : interval.communication ? sums.communication
                                            : sums.compute;
    sum += interval.end - interval.begin;
  }
  ReportTable table;
  table.header = {"rank", "compute", "communication", "compute waits", "waits, share"};
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    table.rows.push_back({std::to_string(rank), time_text(ranks[rank].compute),
                          time_text(ranks[rank].communication), time_text(ranks[rank].waiting),
                          percent_text(ranks[rank].waiting / end)});
  }
  return table;
}

}  // namespace

Figure timeline_figure(const std::vector<Interval>& intervals, int num_ranks, std::string_view of) {
  const std::vector<Interval> shown = with_length(intervals, num_ranks);
  Figure figure;
  if (shown.empty()) return figure;

  Seconds end{};
  std::array<bool, kNumPieces> present{};
  for (const Interval& interval : shown) {
    end = std::max(end, interval.end);
    present.at(piece_of(interval)) = true;
  }
  const std::vector<int> ranks = ranks_with_rows(num_ranks);
  const double right = kFigureWidth - kTimelineRight;
  const double bottom = kTimelineTop + kRankPitch * static_cast<double>(ranks.size());
  const TimeUnit unit = unit_for(end);
  const Scale scale{0, end.number, kTimelineLeft, right};
  std::vector<Tick> ticks = round_ticks({0, end.number * unit.per_second, 0, 1}, 8);
  for (Tick& tick : ticks) tick.value /= unit.per_second;
  Drawing drawing;
  name_rows(drawing, ranks, right);
  draw_x_axis(drawing, scale, ticks, kTimelineTop - 4, bottom,
              fmt::format("time from the start [{}]", unit.name));
  for (const Interval& interval : shown) {
    const auto row = std::find(ranks.begin(), ranks.end(), interval.rank);
    if (row == ranks.end()) continue;
    draw_interval(drawing, interval, static_cast<std::size_t>(row - ranks.begin()), scale);
  }

  figure.id = "timeline";
  figure.heading = of.empty() ? "Timeline of the ranks" : fmt::format("Timeline: {}", of);
  figure.svg = drawing.framed(
      bottom + kXAxisHeight, figure.heading,
      fmt::format("Compute and communication of {} ranks during {}.", num_ranks, time_text(end)));
  for (std::size_t piece = 0; piece < kNumPieces; ++piece) {
    if (present.at(piece))
      figure.legend += filled_legend_entry(piece_style(piece), piece_name(piece));
  }
  figure.caption =
      "Two streams a rank, from the left to the right. Look for the hatched pieces, in which a "
      "rank's compute waits for an exchange or for other ranks: where they are shortest is the "
      "rank "
      "that sets the pace. Point at a piece for its name and time.";
  if (num_ranks > kMostRanks) {
    figure.caption +=
        fmt::format(" Of {} ranks the first {} and the last are drawn.", num_ranks, kMostRanks - 1);
  }
  figure.table = timeline_table(shown, num_ranks, end);
  return figure;
}

}  // namespace apb::sim::report
