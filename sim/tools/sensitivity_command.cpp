// apb sim sensitivity: which input moves the answer most?

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "reference/cli/text_table.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/study/sensitivity.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/prediction_text.hpp"
#include "sim/tools/question.hpp"
#include "sim/tools/report_pages.hpp"

namespace apb::sim {
namespace {

/// A bar from the lower to the higher time, around the base marked by |.
std::string bar_of(const Swing& swing, const Sensitivity& all) {
  constexpr int kColumns = 40;
  Seconds low = all.base;
  Seconds high = all.base;
  for (const Swing& one : all.swings) {
    low = std::min({low, one.at_low, one.at_high});
    high = std::max({high, one.at_low, one.at_high});
  }
  const auto column = [&](Seconds time) {
    if (!(low < high)) return 0;
    return static_cast<int>(std::lround(kColumns * ((time - low) / (high - low))));
  };
  std::string bar;
  const auto [from, to] = std::minmax(swing.at_low, swing.at_high);
  for (int i = 0; i <= kColumns; ++i) {
    const bool inside = column(from) <= i && i <= column(to);
    bar += i == column(all.base) ? "|" : inside ? "=" : " ";
  }
  return bar;
}

ExitStatus run_sensitivity(const Question& question) {
  const Job job = job_of(question);
  const MachineModel machine = machine_of(question);
  const Sensitivity result = sensitivity(machine, job);
  if (!question.html.empty()) write_sensitivity_page(question, machine, job, result);
  if (question.json) {
    nlohmann::ordered_json swings = nlohmann::ordered_json::array();
    for (const Swing& swing : result.swings) {
      swings.push_back({{"input", swing.input},
                        {"low", swing.low},
                        {"high", swing.high},
                        {"time_at_low_s", swing.at_low.number},
                        {"time_at_high_s", swing.at_high.number}});
    }
    const nlohmann::ordered_json report{{"schema", "apb-sim-sensitivity"},   {"version", 1},
                                        {"machine", machine.profile().name}, {"job", to_json(job)},
                                        {"base_s", result.base.number},      {"swings", swings}};
    fmt::print("{}\n", report.dump(2));
    return ExitStatus::kRight;
  }
  fmt::print("{}: {}, {} tokens, {}: first token after {}\n\n", job_title(job), job.model.name,
             with_separators(job.lengths.doc_len), machine.profile().title, text_of(result.base));
  Table table{{"input", "from", "to", "first token from", "to", ""}, {}};
  for (const Swing& swing : result.swings) {
    table.rows.push_back({swing.input, swing.low, swing.high, text_of(swing.at_low),
                          text_of(swing.at_high), bar_of(swing, result)});
  }
  fmt::print("{}", table.text());
  return ExitStatus::kRight;
}

}  // namespace

void add_sensitivity_command(CLI::App& sim, Work& work) {
  const auto question = std::make_shared<Question>();
  CLI::App* command = sim.add_subcommand("sensitivity", "which input moves the answer most?");
  command->add_option("--method", question->method, "one of " + sim_method_names())
      ->capture_default_str();
  add_question_options(*command, *question, Lists::kOne);
  add_output_options(*command, *question, false, true);
  command->callback([question, command, &work] {
    question->typed = options_as_typed(*command);
    work = [question] { return run_sensitivity(*question); };
  });
}

}  // namespace apb::sim
