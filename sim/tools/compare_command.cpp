// apb sim compare: which method is fastest at my length on my machine?

#include <fmt/format.h>

#include <memory>

#include "reference/cli/text_table.hpp"
#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/study/break_even.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/prediction_text.hpp"
#include "sim/tools/question.hpp"
#include "sim/tools/report_pages.hpp"

namespace apb::sim {
namespace {

std::string optional_times(const std::optional<double>& ratio) {
  return ratio ? times_text(*ratio) : "";
}

std::vector<std::string> row_of(const Comparison& comparison, const Contender& contender) {
  const SimMethodEntry& entry = entry_of(contender.method);
  std::vector<std::string> row{std::string(entry.title), entry.exact ? "exact" : ""};
  if (!contender.prediction) {
    row.insert(row.end(), {"", "cannot run", "", "", "", "", "", ""});
    return row;
  }
  const Prediction& prediction = *contender.prediction;
  row.insert(
      row.end(),
      {std::to_string(prediction.num_gpus), text_of(prediction.time_to_first_token()),
       text_of(prediction.band()), optional_times(comparison.speedup(contender, SimMethod::kFull)),
       optional_times(comparison.speedup(contender, SimMethod::kTensorParallel)),
       text_of(Bytes(prediction.kept_cache_bytes)), longest_prompt_text(contender.longest_prompt)});
  const Standing standing = standing_of(comparison, contender);
  std::string remark;
  if (standing != Standing::kSlower && standing != Standing::kDoesNotRun)
    remark = to_string(standing);
  if (prediction.fit != Fit::kFits)
    remark += fmt::format("{}{}", remark.empty() ? "" : ", ", to_string(prediction.fit));
  row.push_back(remark);
  return row;
}

Table table_of(const Comparison& comparison) {
  Table table{{"method", "", "GPUs", "first token", "8 of 10 within", "x Full", "x TP", "KV a GPU",
               "longest prompt", ""},
              {}};
  for (const Contender& contender : comparison.contenders) {
    table.rows.push_back(row_of(comparison, contender));
  }
  return table;
}

Table csv_of(const std::vector<Comparison>& comparisons) {
  Table table{
      {"doc_len", "ranks", "method", "exact", "gpus", "time_to_first_token_s", "p10_s", "p90_s",
       "speedup_over_full", "speedup_over_tensor_parallel", "kv_bytes_per_gpu", "memory_bytes",
       "longest_prompt_tokens", "longest_prompt_may_be_longer", "fit", "standing", "refusal"},
      {}};
  const auto number = [](double value) { return fmt::format("{}", value); };
  for (const Comparison& comparison : comparisons) {
    for (const Contender& contender : comparison.contenders) {
      const SimMethodEntry& entry = entry_of(contender.method);
      std::vector<std::string> row{std::to_string(comparison.doc_len),
                                   std::to_string(comparison.ranks), std::string(entry.name),
                                   entry.exact ? "1" : "0"};
      if (contender.prediction) {
        const Prediction& prediction = *contender.prediction;
        const auto over = [&](SimMethod method) {
          const auto ratio = comparison.speedup(contender, method);
          return ratio ? number(*ratio) : "";
        };
        row.insert(
            row.end(),
            {std::to_string(prediction.num_gpus), number(prediction.time_to_first_token().number),
             number(prediction.band().p10.number), number(prediction.band().p90.number),
             over(SimMethod::kFull), over(SimMethod::kTensorParallel),
             std::to_string(prediction.kept_cache_bytes), std::to_string(prediction.memory.total()),
             std::to_string(contender.longest_prompt),
             contender.longest_prompt == kLongestPrompt ? "1" : "0",
             std::string(to_string(prediction.fit)),
             std::string(to_string(standing_of(comparison, contender))), ""});
      } else {
        row.insert(row.end(), {"", "", "", "", "", "", "", "", "", "", "", "", contender.refusal});
      }
      table.rows.push_back(std::move(row));
    }
  }
  return table;
}

/// What lies beyond the lengths that are looked at is not known.
std::string text_of(const BreakEven& pair) {
  if (!pair.both_run) return "cannot run";
  if (!pair.doc_len) return "not at " + with_separators(kLongestBreakEven);
  return with_separators(*pair.doc_len) + (*pair.doc_len == kShortestPrompt ? " or less" : "");
}

/// A row for each approximate method, a column for each exact one.
Table table_of(const std::vector<BreakEven>& pairs) {
  Table table{{"faster from (tokens)"}, {}};
  for (const BreakEven& pair : pairs) {
    const std::string title(entry_of(pair.approximate).title);
    if (table.rows.empty() || table.rows.back().front() != title) table.rows.push_back({title});
    table.rows.back().push_back(text_of(pair));
    if (table.rows.size() == 1)
      table.header.push_back(fmt::format("than {}", entry_of(pair.exact).title));
  }
  return table;
}

std::string text_of(const NicBreakEven& nic) {
  if (!nic.bytes_per_s) {
    return fmt::format(
        "APB is {} than the fastest exact method with network cards of {:g} to {:g} GB/s.",
        nic.apb_wins_slow ? "faster" : "not faster", kSlowestNic / 1e9, kFastestNic / 1e9);
  }
  return fmt::format(
      "APB is faster than the fastest exact method with network cards {} {:.3g} GB/s.",
      nic.apb_wins_slow ? "below" : "from", *nic.bytes_per_s / 1e9);
}

/// A number, or null.
template <class Number>
nlohmann::ordered_json optional_json(const std::optional<Number>& number) {
  return number ? nlohmann::ordered_json(*number) : nlohmann::ordered_json(nullptr);
}

/// Where the order changes on a number of ranks.
struct OrderChanges {
  Index ranks = 0;
  std::vector<BreakEven> lengths;
  std::optional<NicBreakEven> nic;  ///< on several nodes
};

OrderChanges order_changes(const MachineModel& machine, const JobMaker& job_of, Index doc_len,
                           Index ranks) {
  OrderChanges changes{ranks, break_even_lengths(machine, job_of, ranks), std::nullopt};
  const Index gpus = num_gpus(job_of(SimMethod::kApb, doc_len, ranks));
  if (static_cast<double>(gpus) > machine.profile().gpus_per_node.number) {
    changes.nic = break_even_nic(machine, job_of, doc_len, ranks);
  }
  return changes;
}

nlohmann::ordered_json to_json(const OrderChanges& changes) {
  nlohmann::ordered_json lengths = nlohmann::ordered_json::array();
  for (const BreakEven& pair : changes.lengths) {
    lengths.push_back({{"approximate", entry_of(pair.approximate).name},
                       {"exact", entry_of(pair.exact).name},
                       {"both_run", pair.both_run},
                       {"faster_from_tokens", optional_json(pair.doc_len)}});
  }
  nlohmann::ordered_json json{{"ranks", changes.ranks}, {"lengths", lengths}};
  json["nic"] = nullptr;
  if (changes.nic) {
    json["nic"] = {{"apb_wins_with_slow_cards", changes.nic->apb_wins_slow},
                   {"apb_wins_with_fast_cards", changes.nic->apb_wins_fast},
                   {"bytes_per_s", optional_json(changes.nic->bytes_per_s)}};
  }
  return json;
}

nlohmann::ordered_json to_json(const Comparison& comparison) {
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  for (const Contender& contender : comparison.contenders) {
    nlohmann::ordered_json row{{"method", entry_of(contender.method).name},
                               {"exact", entry_of(contender.method).exact}};
    if (contender.prediction) {
      row["job"] = to_json(*contender.job);
      row["prediction"] = to_json(*contender.prediction);
      row["standing"] = to_string(standing_of(comparison, contender));
      row["longest_prompt_tokens"] = contender.longest_prompt;
      row["longest_prompt_may_be_longer"] = contender.longest_prompt == kLongestPrompt;
      for (const auto& [key, over] :
           {std::pair{"speedup_over_full", SimMethod::kFull},
            std::pair{"speedup_over_tensor_parallel", SimMethod::kTensorParallel}}) {
        const auto ratio = comparison.speedup(contender, over);
        row[key] = optional_json(ratio);
      }
    } else {
      row["refusal"] = contender.refusal;
    }
    rows.push_back(std::move(row));
  }
  return {{"doc_len", comparison.doc_len},
          {"ranks", comparison.ranks},
          {"answer", answer(comparison)},
          {"methods", rows}};
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

ExitStatus run(const Question& question) {
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
    work = [question] { return run(*question); };
  });
}

}  // namespace apb::sim
