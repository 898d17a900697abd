// apb sim compare: which method is fastest at my length on my machine?

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>

#include "reference/cli/text_table.hpp"
#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/study/comparison.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/prediction_text.hpp"
#include "sim/tools/question.hpp"
#include "sim/tools/report_pages.hpp"

namespace apb::sim {
namespace {

constexpr Index kLongestBreakEven = Index{1} << 22;

/// What the break-even tables compare.
constexpr std::array kApproximate{SimMethod::kStar, SimMethod::kApb, SimMethod::kSpava};
constexpr std::array kExact{SimMethod::kTensorParallel, SimMethod::kUlysses, SimMethod::kAllGather,
                            SimMethod::kZigzagRing};

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
std::string break_even_text(const std::optional<Index>& length) {
  if (!length) return "not at " + with_separators(kLongestBreakEven);
  return with_separators(*length) + (*length == kShortestPrompt ? " or less" : "");
}

/// From which length on an approximate method is faster than an exact one.
Table break_even_table(const MachineModel& machine, const JobMaker& job_of, Index ranks) {
  std::map<std::pair<SimMethod, Index>, Seconds> known;  // several pairs ask for the same
  const auto time_of = [&](SimMethod method) -> TimeOfLength {
    return [&, method](Index doc_len) {
      const auto entry = known.find({method, doc_len});
      if (entry != known.end()) return entry->second;
      const Prediction prediction = predict_first_token(machine, job_of(method, doc_len, ranks));
      return known[{method, doc_len}] = prediction.time_to_first_token();
    };
  };
  Table table{{"faster from (tokens)"}, {}};
  for (const SimMethod exact : kExact) {
    table.header.push_back("than " + std::string(entry_of(exact).title));
  }
  for (const SimMethod approximate : kApproximate) {
    std::vector<std::string> row{std::string(entry_of(approximate).title)};
    for (const SimMethod exact : kExact) {
      try {
        row.push_back(break_even_text(
            break_even_length(time_of(approximate), time_of(exact), kLongestBreakEven)));
      } catch (const BadInput&) {
        row.emplace_back("cannot run");
      }
    }
    table.rows.push_back(std::move(row));
  }
  return table;
}

/// The network card's bandwidth at which APB and the best exact method change places.
std::string nic_text(const MachineModel& machine, const JobMaker& job_of, Index doc_len,
                     Index ranks) {
  const auto apb_wins = [&](double gbytes_per_s) {
    MachineProfile changed = machine.profile();
    changed.nic_bytes_per_s = {1e9 * gbytes_per_s, Provenance::kAssumed, "break-even"};
    const MachineModel model(std::move(changed));
    std::optional<Seconds> apb;
    std::optional<Seconds> exact;
    for (const SimMethodEntry& entry : kSimMethods) {
      if (!entry.exact && entry.method != SimMethod::kApb) continue;
      try {
        const Prediction prediction =
            predict_first_token(model, job_of(entry.method, doc_len, ranks));
        const Seconds time = prediction.time_to_first_token();
        if (entry.method == SimMethod::kApb) apb = time;
        if (!entry.exact || prediction.fit == Fit::kOutOfMemory) continue;
        if (!exact || time < *exact) exact = time;
      } catch (const BadInput&) {
        continue;  // this method cannot do it
      }
    }
    return apb && exact && less_beyond_rounding(*apb, *exact);
  };
  double low = 0.1;
  double high = 10000;
  const bool slow_wins = apb_wins(low);
  if (slow_wins == apb_wins(high)) {
    return fmt::format("APB is {} than the fastest exact method with network cards of any speed.",
                       slow_wins ? "faster" : "not faster");
  }
  while (high / low > 1.02) {
    const double middle = std::sqrt(low * high);
    (apb_wins(middle) == slow_wins ? low : high) = middle;
  }
  return fmt::format(
      "APB is faster than the fastest exact method with network cards {} {:.3g} GB/s.",
      slow_wins ? "below" : "from", high);
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
        row[key] = ratio ? nlohmann::ordered_json(*ratio) : nlohmann::ordered_json(nullptr);
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

ExitStatus run_compare(const Question& question) {
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
  if (question.json) {
    nlohmann::ordered_json report{{"schema", "apb-sim-compare"},
                                  {"version", 1},
                                  {"machine", machine.profile().name},
                                  {"model", model.name}};
    report["comparisons"] = nlohmann::ordered_json::array();
    for (const Comparison& comparison : comparisons)
      report["comparisons"].push_back(to_json(comparison));
    fmt::print("{}\n", report.dump(2));
    return ExitStatus::kRight;
  }
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
  for (const Index ranks : question.ranks) {
    if (ranks == 1) continue;
    fmt::print("\n{}\n{}", counted(ranks, "rank"),
               break_even_table(machine, job_of_method, ranks).text());
    const Job apb = job_of_method(SimMethod::kApb, comparisons.back().doc_len, ranks);
    if (static_cast<double>(num_gpus(apb)) > machine.profile().gpus_per_node.number) {
      fmt::print("{}",
                 wrapped(nic_text(machine, job_of_method, comparisons.back().doc_len, ranks)));
    }
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
