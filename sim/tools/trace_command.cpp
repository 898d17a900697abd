// apb sim trace: a prefill's timeline for chrome://tracing or ui.perfetto.dev.

#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "reference/cli/number_checks.hpp"
#include "reference/cli/whole_file.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/predict/predict.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/question.hpp"

namespace apb::sim {
namespace {

struct TraceOptions {
  Question question;
  std::string out;
  Index layers = 4;
};

/// The Trace Event Format: one process a rank, one thread a stream, times in microseconds.
nlohmann::ordered_json trace_of(const MachineModel& machine, const Job& job, Index layers) {
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  const auto name_of = [&](const char* kind, int rank, int stream, const std::string& name) {
    events.push_back(
        {{"ph", "M"}, {"name", kind}, {"pid", rank}, {"tid", stream}, {"args", {{"name", name}}}});
  };
  const int ranks = config_of(job).num_ranks;
  for (int rank = 0; rank < ranks; ++rank) {
    name_of("process_name", rank, 0, fmt::format("rank {}", rank));
    name_of("thread_name", rank, 0, "compute");
    name_of("thread_name", rank, 1, "communication");
  }
  trace_prefill(machine, job, layers, [&](const Interval& interval) {
    events.push_back({{"ph", "X"},
                      {"name", interval.name},
                      {"cat", interval.waiting         ? "wait"
                              : interval.communication ? "communication"
                                                       : "compute"},
                      {"pid", interval.rank},
                      {"tid", interval.communication ? 1 : 0},
                      {"ts", 1e6 * interval.begin.number},
                      {"dur", 1e6 * (interval.end - interval.begin).number}});
  });
  return {{"displayTimeUnit", "ms"},
          {"otherData",
           {{"machine", machine.profile().name},
            {"method", entry_of(job.method).name},
            {"doc_len", job.lengths.doc_len},
            {"layers", layers}}},
          {"traceEvents", events}};
}

ExitStatus run_trace(const TraceOptions& options) {
  const Job job = job_of(options.question);
  const MachineModel machine = machine_of(options.question);
  const Index layers = std::min(options.layers, job.model.num_layers);
  const std::string text = trace_of(machine, job, layers).dump() + "\n";
  if (options.out.empty()) {
    fmt::print("{}", text);
  } else {
    write_whole_file(options.out, text);
  }
  return ExitStatus::kRight;
}

}  // namespace

void add_trace_command(CLI::App& sim, Work& work) {
  const auto options = std::make_shared<TraceOptions>();
  CLI::App* command =
      sim.add_subcommand("trace", "a timeline for Perfetto: a row per rank and stream");
  command->add_option("--method", options->question.method, "one of " + sim_method_names())
      ->capture_default_str();
  add_question_options(*command, options->question, Lists::kOne);
  command->add_option("--layers", options->layers, "how many, from the first on")
      ->check(whole_number(1, 1000))
      ->capture_default_str();
  command->add_option("--out", options->out, "file (default: standard output)");
  command->callback([options, &work] { work = [options] { return run_trace(*options); }; });
}

}  // namespace apb::sim
