// apb sim compare: which method is fastest at my length on my machine?

#include <fmt/ranges.h>

#include <memory>

#include "reference/cli/text_table.hpp"
#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/comparison_text.hpp"
#include "sim/tools/prediction_text.hpp"
#include "sim/tools/question.hpp"
#include "sim/tools/report_pages.hpp"

namespace apb::sim {
namespace {

OrderChanges order_changes(const MachineModel& machine, const JobMaker& job_of, Index doc_len,
                           Index ranks) {
  OrderChanges changes{ranks, break_even_lengths(machine, job_of, ranks), std::nullopt};
  const Index gpus = num_gpus(job_of(SimMethod::kApb, doc_len, ranks));
  if (static_cast<double>(gpus) > machine.profile().gpus_per_node.number) {
    changes.nic = break_even_nic(machine, job_of, doc_len, ranks);
  }
  return changes;
}

void print_json(const MachineModel& machine, const ModelSizes& model,
                const std::vector<Comparison>& comparisons,
                const std::vector<OrderChanges>& changes) {
  nlohmann::ordered_json report{{"schema", "apb-sim-compare"},
                                {"version", 1},
                                {"machine", machine.profile().name},
                                {"model", model.name}};
  report["comparisons"] = nlohmann::ordered_json::array();
  for (const Comparison& comparison : comparisons)
    report["comparisons"].push_back(to_json(comparison));
  report["break_even"] = nlohmann::ordered_json::array();
  for (const OrderChanges& one : changes) report["break_even"].push_back(to_json(one));
  fmt::print("{}\n", report.dump(2));
}

void print_text(const MachineModel& machine, const ModelSizes& model,
                const std::vector<Comparison>& comparisons,
                const std::vector<OrderChanges>& changes) {
  fmt::print("{}, {}\n", model.name, machine.profile().title);
  for (const Comparison& comparison : comparisons) {
    fmt::print("\n{}, {}\n{}{}", counted(comparison.doc_len, "token"),
               counted(comparison.ranks, "rank"), table_of(comparison).text(),
               wrapped(answer(comparison)));
    if (const Contender* best = fastest(comparison, false)) {
      fmt::print("(Its time rests on numbers that are {}.)\n",
                 provenance_text(sum_of(best->prediction->provenance)));
    }
  }
  for (const OrderChanges& one : changes) {
    fmt::print("\n{}\n{}", counted(one.ranks, "rank"), table_of(one.lengths).text());
    if (one.nic) fmt::print("{}", wrapped(text_of(*one.nic)));
  }
}

/// \throws BadInput for several values of what has one here
void require_one(const std::vector<std::string>& words, std::string_view option) {
  if (words.size() == 1) return;
  throw BadInput("command line", option, fmt::format("{}", fmt::join(words, ",")),
                 "one value: sweep takes several");
}

ExitStatus run_compare(const Question& question) {
  require_one(question.anchor, "anchor");
  require_one(question.keep, "keep");
  const std::vector<Index> lengths = parse_token_list(question.tokens, "tokens");
  const MachineModel machine = machine_of(question);
  const ModelSizes model = model_of(question.model);
  const JobMaker job_of_method = [&](SimMethod method, Index doc_len, Index ranks) {
    return job_of(question, model, method, doc_len, ranks, question.anchor.front(),
                  question.keep.front());
  };
  std::vector<Comparison> comparisons;
  for (const Index doc_len : lengths) {
    for (const Index ranks : question.ranks) {
      comparisons.push_back(compare(machine, job_of_method, doc_len, ranks));
    }
  }
  if (!question.html.empty()) write_comparison_page(question, machine, job_of_method, comparisons);
  if (question.csv) {
    fmt::print("{}", csv_of(comparisons).csv());
    return ExitStatus::kRight;
  }
  std::vector<OrderChanges> changes;
  for (const Index ranks : question.ranks) {
    if (ranks == 1) continue;
    changes.push_back(order_changes(machine, job_of_method, lengths.back(), ranks));
  }
  if (question.json) {
    print_json(machine, model, comparisons, changes);
  } else {
    print_text(machine, model, comparisons, changes);
  }
  return ExitStatus::kRight;
}

}  // namespace

void add_compare_command(CLI::App& sim, Work& work) {
  const auto question = std::make_shared<Question>();
  CLI::App* command =
      sim.add_subcommand("compare", "which method is fastest at my length on my machine?");
  add_question_options(*command, *question, Lists::kMany);
  add_output_options(*command, *question, true, true);
  command->callback([question, command, &work] {
    question->typed = options_as_typed(*command);
    work = [question] { return run_compare(*question); };
  });
}

}  // namespace apb::sim
