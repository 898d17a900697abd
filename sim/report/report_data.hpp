#pragma once
/// \file
/// What a report shows, as plain data: whoever fills it needs to know nothing of HTML, and whoever
/// draws it nothing of methods and machines. Empty lists leave their section out.

#include <optional>
#include <string>
#include <vector>

#include "sim/predict/band.hpp"

namespace apb::sim::report {

/// Where one method's time goes.
struct PartBar {
  std::string name;
  std::array<Seconds, kNumParts> parts{};  ///< of the slowest rank
  Seconds host{};                          ///< of the same rank
  Seconds waiting{};                       ///< of the same rank
  Band total;                              ///< time to the first token
};

struct SpeedupPoint {
  Index tokens = 0;
  double speedup = 1;
  double low = 1;  ///< its band
  double high = 1;
};

struct Series {
  std::string method;
  std::vector<SpeedupPoint> points;  ///< by tokens, ascending
};

struct ParetoPoint {
  std::string label;
  Seconds seconds{};
  Index gpus = 1;
  std::optional<double> cost;     ///< per million tokens, in the user's money
  std::optional<double> quality;  ///< more is better
  bool on_front = false;          ///< no other point is at least as good in everything
};

/// One input at its low and its high end, all others at their base.
struct TornadoBar {
  std::string input;
  std::string low_label;
  std::string high_label;
  Seconds low_seconds{};
  Seconds high_seconds{};
  Seconds base_seconds{};
};

struct ReportTable {
  std::string title;
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

struct ReportData {
  std::string title;
  std::string subtitle;  ///< machine, model, lengths
  std::string answer;    ///< one sentence
  std::string command;   ///< that makes this report again

  std::vector<PartBar> parts;
  std::string baseline = "full attention on one GPU";  ///< what `speedup` is over
  std::vector<Series> speedup;
  std::string timeline_of;         ///< method and number of layers, e.g. "APB, first two layers"
  std::vector<Interval> timeline;  ///< in any order
  int num_ranks = 0;               ///< of the timeline
  std::vector<ParetoPoint> pareto;
  std::string tornado_of;  ///< whose time it moves, e.g. "APB"
  std::vector<TornadoBar> tornado;
  std::vector<ReportTable> tables;
  std::vector<std::string> notes;  ///< paragraphs: where the numbers come from
};

}  // namespace apb::sim::report
