#include "tests/sim/sample_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace apb::sim::report {
namespace {

/// Shares of the parts, in the order of kPartNames; the sum is below one: host, waiting and rest.
struct SampleMethod {
  std::string name;
  double seconds;
  std::array<double, kNumParts> shares;
};

std::vector<SampleMethod> sample_methods() {
  return {
      {"Full, one GPU", 11.6, {0.05, 0, 0, 0, 0.70, 0.04, 0.19, 0.01}},
      {"tensor parallelism", 1.94, {0.04, 0, 0, 0.17, 0.53, 0.03, 0.16, 0.03}},
      {"zigzag ring", 1.71, {0.05, 0, 0, 0.09, 0.58, 0.04, 0.18, 0.02}},
      {"Ulysses", 1.62, {0.05, 0, 0, 0.04, 0.62, 0.04, 0.19, 0.02}},
      {"Star", 1.02, {0.13, 0, 0, 0, 0.29, 0.09, 0.41, 0.03}},
      {"APB", 0.76, {0.12, 0.06, 0.02, 0.04, 0.24, 0.08, 0.35, 0.03}},
  };
}

PartBar part_bar(const SampleMethod& method) {
  PartBar bar;
  bar.name = method.name;
  for (std::size_t part = 0; part < kNumParts; ++part) {
    bar.parts[part] = Seconds(method.seconds * method.shares[part]);
  }
  bar.host = Seconds(0.008 * method.seconds);
  bar.waiting = Seconds(method.shares[3] > 0 ? 0.02 * method.seconds : 0);
  bar.total = band_around(Seconds(method.seconds), 0.07);
  return bar;
}

Series speedup_series(const std::string& name, double at_32k, double growth, int num_lengths) {
  Series series{name, {}};
  for (int i = 0; i < num_lengths; ++i) {
    const double speedup = at_32k * std::pow(growth, i);
    series.points.push_back({Index{32768} << i, speedup, 0.9 * speedup, 1.1 * speedup});
  }
  return series;
}

/// Layers in which later ranks have more to do, exchange, and wait for the last one.
std::vector<Interval> rank_timeline(int num_ranks, int num_layers) {
  std::vector<Interval> intervals;
  Seconds start{};
  for (int layer = 0; layer < num_layers; ++layer) {
    Seconds last{};
    std::vector<Seconds> arrived;
    for (int rank = 0; rank < num_ranks; ++rank) {
      Seconds at = start;
      const double more = rank == 0 ? 0.7 : 1;
      for (const auto& [name, length] : {std::pair<std::string_view, double>{"QKV", 2.6e-3},
                                         {"retaining head", 1.2e-3},
                                         {"selection", 0.5e-3},
                                         {"launches", 0.2e-3}}) {
        intervals.push_back({rank, false, false, name, at, at + Seconds(more * length)});
        at += Seconds(more * length);
      }
      arrived.push_back(at);
      last = std::max(last, at);
    }
    start = Seconds(0);
    for (int rank = 0; rank < num_ranks; ++rank) {
      const Seconds done = last + Seconds(0.9e-3);
      intervals.push_back({rank, true, false, "all-gather", last, done});
      intervals.push_back(
          {rank, false, true, "wait", arrived[static_cast<std::size_t>(rank)], done});
      Seconds at = done;
      for (const auto& [name, length] :
           {std::pair<std::string_view, double>{"attention", (3.2 + 0.3 * rank) * 1e-3},
            {"O", 1.9e-3},
            {"FFN", 8.2e-3},
            {"others", 0.4e-3}}) {
        intervals.push_back({rank, false, false, name, at, at + Seconds(length)});
        at += Seconds(length);
      }
      start = std::max(start, at);
    }
  }
  return intervals;
}

/// Many configurations on a few numbers of GPUs; the fastest of each number is on the front.
std::vector<ParetoPoint> pareto_points(int per_count, bool cost) {
  std::vector<ParetoPoint> points;
  for (const Index gpus : {1, 2, 4, 8, 16}) {
    for (int i = 0; i < per_count; ++i) {
      const double slower = 1 + 1.7 * i / per_count + 0.3 * std::abs(std::sin(7.0 * i));
      const double seconds = 6.1 * slower / std::pow(static_cast<double>(gpus), 0.8);
      ParetoPoint& point = points.emplace_back();
      point.label = fmt::format("APB, {} ranks, l_a {:.0f}", gpus, 4096.0 / (1 + i % 4));
      point.seconds = Seconds(seconds);
      point.gpus = gpus;
      if (cost) point.cost = 2.5 / 3600 * seconds * static_cast<double>(gpus) * 1e6 / 131072;
      if (i % 2 == 0) point.quality = 0.93 - 0.02 * (i % 4);
      point.on_front = i == 0;
    }
  }
  return points;
}

}  // namespace

ReportData sample_report() {
  ReportData data;
  data.title = "Which method is fastest at 131,072 tokens?";
  data.subtitle = "8 × A800-80G, one node · Llama-3.1-8B · 131,072 tokens";
  data.answer =
      "APB is fastest with 0.76 s: 15.3 times as fast as Full on one GPU, 2.6 times as "
      "fast as tensor parallelism on the same 8 GPUs.";
  data.command =
      "./apb sim compare --model llama-3.1-8b --machine a800-80g --ranks 8 "
      "--doc-len 131072 --html report.html";
  for (const SampleMethod& method : sample_methods()) data.parts.push_back(part_bar(method));
  data.baseline = "tensor parallelism on the same GPUs";
  data.speedup = {speedup_series("Full, one GPU", 0.2, 0.92, 3),
                  speedup_series("zigzag ring", 0.98, 1.06, 5),
                  speedup_series("Ulysses", 1.05, 1.05, 6), speedup_series("Star", 1.3, 1.2, 6),
                  speedup_series("APB", 1.5, 1.32, 6)};
  data.timeline_of = "APB, first two layers";
  data.num_ranks = 8;
  data.timeline = rank_timeline(8, 2);
  data.pareto = pareto_points(24, false);
  const Seconds base(0.76);
  data.tornado = {{"GEMM rate", "−20 %", "+20 %", Seconds(0.89), Seconds(0.68), base},
                  {"attention rate", "−20 %", "+20 %", Seconds(0.815), Seconds(0.725), base},
                  {"NIC bandwidth", "12.5 GB/s", "50 GB/s", Seconds(0.80), Seconds(0.745), base},
                  {"anchor_len", "1,024", "8,192", Seconds(0.72), Seconds(0.85), base},
                  {"num_kept", "512", "4,096", Seconds(0.75), Seconds(0.784), base},
                  {"captured launches", "no", "yes", Seconds(0.76), Seconds(0.752), base}};
  data.tables = {{"Memory of the fullest GPU",
                  {"method", "weights", "KV cache", "longest prompt that fits"},
                  {{"Full, one GPU", "16.1 GB", "17.2 GB", "262,144"},
                   {"APB", "16.1 GB", "2.4 GB", "1,835,008"}}}};
  data.notes = {"Attention and GEMM rates: measured by others on one A800 (Table 16 of the paper).",
                "All-gather: datasheet bandwidth; no measurement of this size is known."};
  return data;
}

ReportData crowded_report() {
  ReportData data = sample_report();
  data.title = "A <b>very</b> crowded report & \"quotes\" of 'every' kind";
  data.command = std::string(400, 'x') + " <script>alert(1)</script>";
  const std::string suffix = " with an <unreasonably> long name & more";
  for (int i = 0; i < 6; ++i) {
    PartBar bar = part_bar({fmt::format("method {}{}", i, suffix), 3.0 + i, {}});
    bar.parts.fill(Seconds((3.0 + i) / 9));
    data.parts.push_back(bar);
    data.speedup.push_back(speedup_series(fmt::format("method {}{}", i, suffix), 1 + 0.001 * i,
                                          1.001, i == 0 ? 1 : 6));
  }
  data.speedup.push_back(speedup_series("far above", 8, 1.5, 6));
  data.num_ranks = 64;
  data.timeline = rank_timeline(64, 3);
  data.pareto = pareto_points(800, true);
  for (int i = 0; i < 40; ++i) {  // a front whose points nearly touch
    data.pareto.push_back({fmt::format("close {}{}", i, suffix),
                           Seconds(3 - 0.01 * i),
                           4,
                           0.040 + 0.0001 * i,
                           {},
                           true});
  }
  for (int i = 0; i < 25; ++i) {
    data.tornado.push_back({fmt::format("input {}{}", i, suffix), "low" + suffix, "high" + suffix,
                            Seconds(0.76 + 0.001 * i), Seconds(0.76 + 0.002 * i), Seconds(0.76)});
  }
  data.tables.push_back({"Wide", std::vector<std::string>(20, "column"), {}});
  data.tables.back().rows.assign(3, std::vector<std::string>(20, "131,072 tokens"));
  data.notes.push_back(std::string(300, 'y') + suffix);
  return data;
}

}  // namespace apb::sim::report
