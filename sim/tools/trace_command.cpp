// apb sim trace: a prefill's timeline for chrome://tracing or ui.perfetto.dev.

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "reference/cli/file_options.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/text_table.hpp"
#include "reference/cli/whole_file.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/predict/predict.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/question.hpp"

namespace apb::sim {
namespace {

/// Beyond, viewers take minutes to open a file; this many are 60 MB.
constexpr Index kMostIntervals = 500'000;
/// Every step of a ring is a message of every rank: the plan takes 200 MB at this many.
constexpr Index kMostRingRanks = 1024;

struct TraceOptions {
  Question question;
  std::string out;
  Index layers = 4;
  std::vector<Index> show_ranks;  ///< empty: all
};

/// Which ranks are drawn. \throws BadInput for one that there is not
std::vector<bool> shown_ranks(const TraceOptions& options, int num_ranks) {
  std::vector<bool> shown(static_cast<std::size_t>(num_ranks), options.show_ranks.empty());
  for (const Index rank : options.show_ranks) {
    if (rank >= num_ranks) {
      throw BadInput("command line", "show-ranks", rank, fmt::format("0 to {}", num_ranks - 1));
    }
    shown[static_cast<std::size_t>(rank)] = true;
  }
  return shown;
}

std::string_view category_of(const Interval& interval) {
  if (interval.waiting) return "wait";
  return interval.communication ? "communication" : "compute";
}

/// The Trace Event Format: one process a rank, one thread a stream, times in microseconds.
std::string trace_of(const MachineModel& machine, const Job& job, Index layers,
                     const std::vector<bool>& shown) {
  const nlohmann::ordered_json what{{"machine", machine.profile().name},
                                    {"method", entry_of(job.method).name},
                                    {"doc_len", job.lengths.doc_len},
                                    {"layers", layers}};
  // Written as text at once: as a JSON value, half a million events take gigabytes.
  std::string text =
      fmt::format("{{\"displayTimeUnit\":\"ms\",\"otherData\":{},\n\"traceEvents\":[", what.dump());
  std::string_view between = "\n";
  const auto name_of = [&](std::string_view kind, std::size_t rank, int stream,
                           const std::string& name) {
    text += fmt::format(R"({}{{"ph":"M","name":"{}","pid":{},"tid":{},"args":{{"name":"{}"}}}})",
                        between, kind, rank, stream, name);
    between = ",\n";
  };
  for (std::size_t rank = 0; rank < shown.size(); ++rank) {
    if (!shown[rank]) continue;
    name_of("process_name", rank, 0, fmt::format("rank {}", rank));
    name_of("thread_name", rank, 0, "compute");
    name_of("thread_name", rank, 1, "communication");
  }
  Index intervals = 0;
  trace_prefill(machine, job, layers, [&](const Interval& interval) {
    if (!shown[static_cast<std::size_t>(interval.rank)]) return;
    if (++intervals > kMostIntervals) {
      throw BadInput("sim", "trace", "this one",
                     fmt::format("at most {} intervals: fewer --layers, or some of the ranks with "
                                 "--show-ranks",
                                 with_separators(kMostIntervals)));
    }
    text += fmt::format(
        R"({}{{"ph":"X","name":"{}","cat":"{}","pid":{},"tid":{},"ts":{},"dur":{}}})", between,
        interval.name, category_of(interval), interval.rank, interval.communication ? 1 : 0,
        1e6 * interval.begin.number, 1e6 * (interval.end - interval.begin).number);
  });
  return text + "\n]}\n";
}

ExitStatus run_trace(const TraceOptions& options) {
  if (options.out.empty() && isatty(STDOUT_FILENO) == 1) {
    throw BadInput("command line", "out", "not given",
                   "a file for ui.perfetto.dev: JSON is not for a terminal (a pipe is fine)");
  }
  const Job job = job_of(options.question);
  const int num_ranks = config_of(job).num_ranks;
  const bool ring = job.method == SimMethod::kRing || job.method == SimMethod::kZigzagRing;
  if (ring && num_ranks > kMostRingRanks) {
    throw BadInput("sim", "ranks", num_ranks,
                   fmt::format("at most {} to trace a ring, whose steps grow with their square",
                               kMostRingRanks));
  }
  const std::vector<bool> shown = shown_ranks(options, num_ranks);
  const MachineModel machine = machine_of(options.question);
  const Index layers = std::min(options.layers, job.model.num_layers);
  const std::string text = trace_of(machine, job, layers, shown);
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
  command->add_option("--show-ranks", options->show_ranks, "only these, a,b,c (default: all)")
      ->check(whole_number(0, 4095))
      ->delimiter(',');
  writes_file(command->add_option("--out", options->out,
                                  "file (default: standard output, if it is a pipe)"));
  command->callback([options, &work] { work = [options] { return run_trace(*options); }; });
}

}  // namespace apb::sim
