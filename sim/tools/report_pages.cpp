#include "sim/tools/report_pages.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/cli/text_table.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/report/html_report.hpp"
#include "sim/tools/prediction_text.hpp"

namespace apb::sim {
namespace {

constexpr Index kTimelineLayers = 2;

/// \param command of apb sim that makes the page
report::ReportData page(const std::string& title, const Question& question,
                        std::string_view command, const MachineModel& machine, const Job& job) {
  report::ReportData data;
  data.command = fmt::format("./apb sim {}{}", command, question.typed);
  data.title = title;
  data.subtitle = fmt::format("{}, {} tokens, {}", job.model.name,
                              with_separators(job.lengths.doc_len), machine.profile().title);
  data.notes.push_back(
      "Times are predictions. A band holds eight of ten measurements, by spreads that the "
      "machine's profile fixes beforehand; apb sim validate shows how far published times are "
      "met.");
  return data;
}

report::PartBar bar_of(const std::string& name, const Prediction& prediction) {
  const RankTime& rank = prediction.ranks[slowest_rank(prediction)];
  return {name, rank.parts, rank.host, rank.waiting, prediction.band()};
}

void add_timeline(report::ReportData& data, const MachineModel& machine, const Job& job) {
  const Index layers = std::min(kTimelineLayers, job.model.num_layers);
  data.timeline_of =
      fmt::format("{}, first {}", entry_of(job.method).title, counted(layers, "layer"));
  data.num_ranks = config_of(job).num_ranks;
  constexpr int kMostSteps = 32;  // more are narrower than a pixel, and make a page of megabytes
  const bool each_step = data.num_ranks <= kMostSteps;
  const bool ring = job.method == SimMethod::kRing || job.method == SimMethod::kZigzagRing;
  if (ring && !each_step) data.timeline_of += ", steps that are alike as one";
  trace_prefill(
      machine, job, layers, [&](const Interval& interval) { data.timeline.push_back(interval); },
      each_step);
}

void add_tornado(report::ReportData& data, const Job& job, const Sensitivity& result) {
  data.tornado_of = entry_of(job.method).title;
  for (const Swing& swing : result.swings) {
    data.tornado.push_back(
        {swing.input, swing.low, swing.high, swing.at_low, swing.at_high, result.base});
  }
}

/// Speedup of every method over tensor parallelism on the same GPUs, over lengths.
void add_speedup(report::ReportData& data, const MachineModel& machine, const JobMaker& job_of,
                 Index ranks) {
  data.baseline = "tensor parallelism on the same GPUs";
  constexpr Index kShortest = Index{1} << 13;
  constexpr Index kLongest = Index{1} << 20;
  for (const SimMethodEntry& entry : kSimMethods) {
    if (entry.division != Division::kDocument) continue;
    report::Series series{std::string(entry.title), {}};
    for (Index doc_len = kShortest; doc_len <= kLongest; doc_len *= 2) {
      try {
        const Prediction own = predict(machine, job_of(entry.method, doc_len, ranks));
        const Prediction base =
            predict(machine, job_of(SimMethod::kTensorParallel, doc_len, ranks));
        if (own.fit == Fit::kOutOfMemory) continue;
        const double ratio = base.time_to_first_token() / own.time_to_first_token();
        const Band band = own.band();
        series.points.push_back({doc_len, ratio, base.time_to_first_token() / band.p90,
                                 base.time_to_first_token() / band.p10});
      } catch (const BadInput&) {
        continue;
      }
    }
    if (!series.points.empty()) data.speedup.push_back(std::move(series));
  }
}

void add_pareto(report::ReportData& data, const MachineModel& machine, const JobMaker& job_of,
                Index doc_len, Index most_ranks) {
  std::vector<SweepPoint> points;
  std::vector<std::string> labels;
  for (const SimMethodEntry& entry : kSimMethods) {
    for (Index ranks = 1; ranks <= most_ranks; ranks *= 2) {
      if (ranks > 1 && entry.division == Division::kOneRank) break;
      try {
        const Prediction prediction = predict(machine, job_of(entry.method, doc_len, ranks));
        SweepPoint point;
        point.runs = prediction.fit != Fit::kOutOfMemory;
        point.gpus = static_cast<std::int32_t>(prediction.num_gpus);
        point.seconds = prediction.time_to_first_token().number;
        points.push_back(point);
        labels.push_back(fmt::format("{}, {}", entry.title, counted(point.gpus, "GPU")));
      } catch (const BadInput&) {
        continue;
      }
    }
  }
  const std::vector<Index> front = pareto_front(points, [](Index /*point*/) { return Index{0}; });
  for (std::size_t i = 0; i < points.size(); ++i) {
    if (!points[i].runs) continue;
    const bool on_front =
        std::find(front.begin(), front.end(), static_cast<Index>(i)) != front.end();
    data.pareto.push_back({labels[i], Seconds(points[i].seconds), points[i].gpus, std::nullopt,
                           std::nullopt, on_front});
  }
}

/// "APB on 8 GPUs (8 ranks), 32,768 tokens, anchor 1,024, kept 512".
std::string label_of(const Job& job) {
  const SimMethodEntry& entry = entry_of(job.method);
  std::string label = fmt::format("{}, {}", job_title(job), counted(job.lengths.doc_len, "token"));
  if (entry.anchored) label += ", anchor " + with_separators(job.lengths.anchor_len);
  if (entry.passes) label += ", kept " + with_separators(job.lengths.num_kept);
  return label;
}

void write(const Question& question, const report::ReportData& data) {
  write_whole_file(question.html, report::html_report(data));
}

}  // namespace

void write_comparison_page(const Question& question, const MachineModel& machine,
                           const JobMaker& job_of, const std::vector<Comparison>& comparisons) {
  const Comparison& last = comparisons.back();
  const Job apb = job_of(SimMethod::kApb, last.doc_len, last.ranks);
  report::ReportData data = page("Which method is fastest?", question, "compare", machine, apb);
  data.answer = answer(last);
  for (const Contender& contender : last.contenders) {
    if (!contender.prediction) continue;
    data.parts.push_back(
        bar_of(std::string(entry_of(contender.method).title), *contender.prediction));
  }
  add_speedup(data, machine, job_of, last.ranks);
  if (last.of(SimMethod::kApb).prediction) {
    add_timeline(data, machine, apb);
    add_tornado(data, apb, sensitivity(machine, apb));
    data.notes.push_back(
        fmt::format("APB's time rests on numbers that are {}.",
                    provenance_text(sum_of(last.of(SimMethod::kApb).prediction->provenance))));
  }
  add_pareto(data, machine, job_of, last.doc_len, last.ranks);
  report::ReportTable others{
      "Other lengths and numbers of ranks", {"tokens", "ranks", "answer"}, {}};
  for (const Comparison& comparison : comparisons) {
    if (&comparison == &last) continue;
    others.rows.push_back({with_separators(comparison.doc_len), with_separators(comparison.ranks),
                           answer(comparison)});
  }
  data.tables.push_back(std::move(others));
  write(question, data);
}

void write_prediction_page(const Question& question, const MachineModel& machine, const Job& job) {
  const Prediction prediction = predict(machine, job);
  report::ReportData data = page(job_title(job), question, "predict", machine, job);
  data.answer = fmt::format("First token after {} ({}), memory: {}.",
                            text_of(prediction.time_to_first_token()), text_of(prediction.band()),
                            to_string(prediction.fit));
  data.parts.push_back(bar_of(std::string(entry_of(job.method).title), prediction));
  for (const SimMethod other : {SimMethod::kFull, SimMethod::kTensorParallel}) {
    if (other == job.method) continue;
    try {
      const Job rival =
          job_of(question, job.model, other, job.lengths.doc_len, job.lengths.num_ranks);
      data.parts.push_back(bar_of(std::string(entry_of(other).title), predict(machine, rival)));
    } catch (const BadInput&) {
      continue;
    }
  }
  add_timeline(data, machine, job);
  add_tornado(data, job, sensitivity(machine, job));
  const Table parts = parts_table(prediction);
  data.tables.push_back({"Where a rank's prefill goes", parts.header, parts.rows});
  data.notes.push_back(
      fmt::format("Rests on numbers that are {}.", provenance_text(sum_of(prediction.provenance))));
  write(question, data);
}

void write_sensitivity_page(const Question& question, const MachineModel& machine, const Job& job,
                            const Sensitivity& result) {
  report::ReportData data =
      page("What moves the answer: " + job_title(job), question, "sensitivity", machine, job);
  data.answer = fmt::format("First token after {}; {} moves it most.", text_of(result.base),
                            result.swings.empty() ? "nothing" : result.swings.front().input);
  add_tornado(data, job, result);
  write(question, data);
}

void write_sweep_page(const Question& question, const MachineModel& machine,
                      const std::vector<SweepPoint>& points, const std::vector<Index>& front,
                      const GridJob& job_of) {
  if (points.empty()) throw BadInput("command line", "grid", 0, "at least one point");
  const Job first = job_of(0);
  report::ReportData data = page("What nothing beats", question, "sweep", machine, first);
  const auto count = [](std::size_t number) { return with_separators(static_cast<Index>(number)); };
  data.answer = fmt::format("{} of {} configurations are beaten by none of the same prompt.",
                            count(front.size()), count(points.size()));
  // Models are in order: one, if the first is the last.
  const std::string& model = first.model.name;
  const bool one_model = model == job_of(static_cast<Index>(points.size()) - 1).model.name;
  data.subtitle =
      one_model ? fmt::format("{}, {}", model, machine.profile().title) : machine.profile().title;
  std::vector<bool> on_front(points.size(), false);
  for (const Index i : front) on_front[static_cast<std::size_t>(i)] = true;
  for (std::size_t i = 0; i < points.size(); ++i) {
    const SweepPoint& point = points[i];
    if (!point.runs) continue;
    const Job job = job_of(static_cast<Index>(i));
    report::ParetoPoint drawn{one_model ? label_of(job) : job.model.name + ", " + label_of(job),
                              Seconds(point.seconds),
                              point.gpus,
                              std::nullopt,
                              std::nullopt,
                              on_front[i]};
    if (point.cost > 0) drawn.cost = point.cost;
    if (point.quality >= 0) drawn.quality = point.quality;
    data.pareto.push_back(std::move(drawn));
  }
  write(question, data);
}

}  // namespace apb::sim
