// apb sim search: the best configuration under constraints.

#include <fmt/format.h>

#include <memory>

#include "reference/cli/file_options.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/text_table.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/study/search.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/prediction_text.hpp"
#include "sim/tools/question.hpp"

namespace apb::sim {
namespace {

struct SearchOptions {
  Question question;
  SearchRequest request;
  double memory_gb = 0;
  double max_seconds = 0;
  double min_quality = -1;
  std::string quality;
  std::string goal = "time";
  bool exact_only = false;
  Index show = 10;
};

/// The first result that may be cut unevenly, before and after.
struct Balance {
  Job job;
  Prediction before;
  Prediction after;
};

std::optional<Balance> balance_of(const MachineModel& machine,
                                  const std::vector<SearchResult>& results) {
  for (const SearchResult& result : results) {
    const Job job = balanced(machine, result.job);
    if (job.lengths.block_lens.empty()) continue;
    return Balance{job, result.prediction, predict(machine, job)};
  }
  return std::nullopt;
}

std::string lengths_text(const std::vector<Index>& lengths) {
  std::string text;
  for (const Index length : lengths) text += (text.empty() ? "" : ", ") + with_separators(length);
  return text;
}

std::vector<std::string> row_of(const SearchResult& result, const SearchOptions& options) {
  const Prediction& prediction = result.prediction;
  const ApbConfig& lengths = result.job.lengths;
  const SimMethodEntry& entry = entry_of(result.job.method);
  std::vector<std::string> row{job_title(result.job),
                               entry.anchored ? with_separators(lengths.anchor_len) : "",
                               entry.passes ? with_separators(lengths.num_kept) : "",
                               text_of(prediction.time_to_first_token()),
                               text_of(prediction.band()),
                               text_of(Bytes(prediction.memory.total()))};
  if (options.request.price_per_gpu_hour > 0) row.push_back(fmt::format("{:.3g}", result.cost));
  if (!options.quality.empty())
    row.push_back(result.quality ? fmt::format("{:.2f}", *result.quality) : "");
  return row;
}

void print_text(const SearchOptions& options, const MachineModel& machine,
                const std::vector<SearchResult>& results, const std::optional<Balance>& balance) {
  fmt::print("{}, at most {}: {} configurations allowed\n\n", machine.profile().title,
             counted(options.request.max_gpus, "GPU"),
             with_separators(static_cast<Index>(results.size())));
  Table table{{"configuration", "anchor", "kept", "first token", "8 of 10 within", "memory a GPU"},
              {}};
  if (options.request.price_per_gpu_hour > 0) table.header.emplace_back("cost of 1M tokens");
  if (!options.quality.empty()) table.header.emplace_back("quality");
  for (std::size_t i = 0; i < results.size() && i < static_cast<std::size_t>(options.show); ++i) {
    table.rows.push_back(row_of(results[i], options));
  }
  fmt::print("{}", table.text());
  if (options.request.quality != nullptr) {
    const QualityTable& quality = *options.request.quality;
    fmt::print("\nquality: {}. {}; {}\n", quality.title, quality.metric, quality.source);
  }
  if (!balance) return;
  const double won = balance->before.prefill / balance->after.prefill - 1;
  fmt::print("\n{}", wrapped(fmt::format(
                         "Uneven blocks: {} takes {} instead of {} ({} faster) with {} tokens.",
                         job_title(balance->job), text_of(balance->after.time_to_first_token()),
                         text_of(balance->before.time_to_first_token()), percent_text(won),
                         lengths_text(balance->job.lengths.block_lens))));
}

nlohmann::ordered_json report_of(const MachineModel& machine,
                                 const std::vector<SearchResult>& results,
                                 const std::optional<Balance>& balance, Index show) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < results.size() && i < static_cast<std::size_t>(show); ++i) {
    const SearchResult& result = results[i];
    nlohmann::ordered_json row{{"job", to_json(result.job)},
                               {"prediction", to_json(predict(machine, result.job))},
                               {"cost_per_million_tokens", result.cost}};
    row["quality"] =
        result.quality ? nlohmann::ordered_json(*result.quality) : nlohmann::ordered_json(nullptr);
    rows.push_back(std::move(row));
  }
  nlohmann::ordered_json report{{"schema", "apb-sim-search"},
                                {"version", 1},
                                {"machine", machine.profile().name},
                                {"results", rows}};
  report["uneven_blocks"] = nullptr;
  if (balance) {
    report["uneven_blocks"] = {{"job", to_json(balance->job)},
                               {"before_s", balance->before.time_to_first_token().number},
                               {"after_s", balance->after.time_to_first_token().number}};
  }
  return report;
}

ExitStatus run_search(SearchOptions options) {
  const Question& question = options.question;
  const Index doc_len = parse_tokens(question.tokens.front(), "tokens");
  const MachineModel machine = machine_of(question);
  const ModelSizes model = model_of(question.model);
  std::optional<QualityTable> quality;
  if (!options.quality.empty()) {
    quality = find_quality_table(options.quality);
    options.request.quality = &*quality;
  }
  if (options.min_quality >= 0) {
    if (!quality)
      throw BadInput("command line", "min-quality", options.min_quality, "given with --quality");
    options.request.min_quality = options.min_quality;
  }
  if (options.memory_gb > 0) options.request.max_memory_bytes = 1e9 * options.memory_gb;
  if (options.max_seconds > 0) options.request.max_seconds = options.max_seconds;
  options.request.approximate = !options.exact_only;
  if (options.goal == "cost") options.request.goal = Goal::kCost;
  if (options.request.goal == Goal::kCost && options.request.price_per_gpu_hour == 0) {
    throw BadInput("command line", "goal", options.goal, "time, or cost with --price");
  }
  const std::vector<SearchResult> results =
      search(machine, options.request,
             [&](SimMethod method, Index ranks, Index tp, Index anchor, Index kept) {
               Question one = question;
               one.tensor_parallel = tp;
               return job_of(one, model, method, doc_len, ranks,
                             anchor < 0 ? "auto" : std::to_string(anchor),
                             kept < 0 ? "auto" : std::to_string(kept));
             });
  const std::optional<Balance> balance = balance_of(machine, results);
  if (question.json) {
    fmt::print("{}\n", report_of(machine, results, balance, options.show).dump(2));
  } else {
    print_text(options, machine, results, balance);
  }
  if (results.empty()) {
    throw Error(ExitStatus::kCheckFailed, "nothing satisfies these constraints");
  }
  return ExitStatus::kRight;
}

}  // namespace

void add_search_command(CLI::App& sim, Work& work) {
  const auto options = std::make_shared<SearchOptions>();
  CLI::App* command = sim.add_subcommand("search", "the best configuration under constraints");
  add_question_options(*command, options->question, Lists::kSearched);
  command->add_option("--max-gpus", options->request.max_gpus, "GPUs in all")
      ->check(whole_number(1, 4096))
      ->capture_default_str();
  command->add_option("--max-memory-gb", options->memory_gb, "of a GPU (default: the machine's)")
      ->check(real_number(1e-3, 1e6));
  command->add_option("--max-seconds", options->max_seconds, "to the first token")
      ->check(real_number(1e-6, 1e9));
  reads_files(command->add_option("--quality", options->quality,
                                  "a table in configs/quality, or a .json file"));
  command
      ->add_option("--min-quality", options->min_quality,
                   "allow only what the table knows to reach this")
      ->check(real_number(0, 1e9));
  command
      ->add_option("--price", options->request.price_per_gpu_hour, "of a GPU hour, in your money")
      ->check(real_number(0, 1e9));
  command->add_option("--goal", options->goal, "time or cost")
      ->check(CLI::IsMember({"time", "cost"}))
      ->capture_default_str();
  command->add_flag("--exact-only", options->exact_only, "leave approximate methods out");
  command->add_option("--show", options->show, "rows")
      ->check(whole_number(1, 100000))
      ->capture_default_str();
  add_output_options(*command, options->question, false, false);
  command->callback([options, &work] { work = [options] { return run_search(*options); }; });
}

}  // namespace apb::sim
