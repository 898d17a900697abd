// apb sim predict: one configuration, in full.

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "reference/cli/text_table.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/predict/longest_prompt.hpp"
#include "sim/tools/commands.hpp"
#include "sim/tools/prediction_text.hpp"
#include "sim/tools/question.hpp"
#include "sim/tools/report_pages.hpp"

namespace apb::sim {
namespace {

/// The same prompt by another method on the same GPUs; no prediction if it cannot be.
struct Rival {
  SimMethod method = SimMethod::kFull;
  std::optional<Prediction> prediction;
};

std::vector<Rival> rivals_of(const Question& question, const MachineModel& machine,
                             const Job& job) {
  std::vector<Rival> rivals;
  for (const SimMethodEntry& entry : kSimMethods) {
    if (entry.method == job.method) continue;
    Rival rival{entry.method, std::nullopt};
    try {
      rival.prediction = predict(machine, job_of(question, job.model, entry.method,
                                                 job.lengths.doc_len, job.lengths.num_ranks));
    } catch (const BadInput&) {
      rival.prediction.reset();  // the method cannot do this
    }
    rivals.push_back(std::move(rival));
  }
  return rivals;
}

/// The same question about a document of another length, its blocks cut in the same shares.
Job job_of_length(const Question& question, const Job& job, Index doc_len) {
  Question other = question;
  Index given = 0;
  for (Index& block_len : other.block_lens) {
    block_len = static_cast<Index>(static_cast<double>(block_len) * static_cast<double>(doc_len) /
                                   static_cast<double>(std::max<Index>(1, job.lengths.doc_len)));
    given += block_len;
  }
  if (!other.block_lens.empty()) other.block_lens.back() += doc_len - given;
  return job_of(other, job.model, job.method, doc_len, job.lengths.num_ranks,
                question.anchor.front(), question.keep.front());
}

Index longest_prompt_of(const Question& question, const MachineModel& machine, const Job& job) {
  return longest_prompt(machine.profile(),
                        [&](Index doc_len) { return job_of_length(question, job, doc_len); });
}

std::string difference_text(Difference difference) {
  if (difference == Difference::kNone) return "equal";
  return difference == Difference::kIndistinguishable ? "indistinguishable" : "";
}

std::string memory_text(const Memory& memory) {
  std::string text;
  const auto add = [&](std::string_view name, Index bytes) {
    if (bytes > 0)
      text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, text_of(Bytes(bytes)));
  };
  add("weights", memory.weights);
  add("keys and values", memory.cache);
  add("activations", memory.activations);
  add("exchange", memory.exchange);
  add("logits", memory.logits);
  add("reserved", memory.reserved);
  return text;
}

void print_text(const Question& question, const MachineModel& machine, const Job& job,
                const Prediction& prediction) {
  const MachineProfile& profile = machine.profile();
  const ApbConfig& lengths = job.lengths;
  fmt::print("{}: {}, {} tokens, {}\n", job_title(job), job.model.name,
             with_separators(lengths.doc_len), profile.title);
  if (entry_of(job.method).anchored) {
    fmt::print("anchor {}, kept {} per KV head and rank\n", with_separators(lengths.anchor_len),
               with_separators(lengths.num_kept));
  }
  const Band band = prediction.band();
  fmt::print("\nTime to first token  {}   (8 of 10 times within {})\n",
             text_of(prediction.time_to_first_token()), text_of(band));
  fmt::print("  prefill            {}\n", text_of(prediction.prefill));
  if (lengths.query_len > 0)
    fmt::print("  question           {}\n", text_of(prediction.query_pass));
  fmt::print("  first logits       {}\n", text_of(prediction.lm_head));
  fmt::print("Each further token   {}\n\n", text_of(prediction.decode_step));

  fmt::print("{}", parts_table(prediction).text());
  if (prediction.ranks.size() > 1) {
    fmt::print("Busiest rank over mean: {:.2f}\n", prediction.imbalance());
  }
  fmt::print("Rests on numbers that are {}\n\n", provenance_text(sum_of(prediction.provenance)));

  if (question.work) {
    fmt::print("{}\n", work_table(work_of_job(machine, job), slowest_rank(prediction)).text());
  }
  fmt::print("Memory of the fullest GPU: {} of {}: {}\n", text_of(Bytes(prediction.memory.total())),
             text_of(Bytes(profile.memory_bytes.number)), to_string(prediction.fit));
  fmt::print("  {}\n", memory_text(prediction.memory));
  fmt::print("  longest prompt that fits: {} tokens\n\n",
             longest_prompt_text(longest_prompt_of(question, machine, job)));

  Table table{{"against", "GPUs", "first token", "speedup", "", "memory"}, {}};
  for (const Rival& rival : rivals_of(question, machine, job)) {
    if (!rival.prediction) {
      table.rows.push_back(
          {std::string(entry_of(rival.method).title), "", "", "", "cannot run", ""});
      continue;
    }
    const Prediction& other = *rival.prediction;
    table.rows.push_back(
        {std::string(entry_of(rival.method).title), std::to_string(other.num_gpus),
         text_of(other.time_to_first_token()),
         times_text(other.time_to_first_token() / prediction.time_to_first_token()),
         difference_text(difference_of(band, other.band())), std::string(to_string(other.fit))});
  }
  fmt::print("{}", table.text());
}

ExitStatus run_predict(const Question& question) {
  const Job job = job_of(question);
  const MachineModel machine = machine_of(question);
  const Prediction prediction = predict(machine, job);
  if (!question.html.empty()) write_prediction_page(question, machine, job);
  if (!question.json) {
    print_text(question, machine, job, prediction);
    return ExitStatus::kRight;
  }
  nlohmann::ordered_json speedups;
  for (const SimMethodEntry& entry : kSimMethods) speedups[std::string(entry.name)] = nullptr;
  speedups[std::string(entry_of(job.method).name)] = 1.0;
  for (const Rival& rival : rivals_of(question, machine, job)) {
    if (!rival.prediction) continue;
    speedups[std::string(entry_of(rival.method).name)] =
        rival.prediction->time_to_first_token() / prediction.time_to_first_token();
  }
  const Index longest = longest_prompt_of(question, machine, job);
  const nlohmann::ordered_json report{{"schema", "apb-sim-predict"},
                                      {"version", 1},
                                      {"machine", machine.profile().name},
                                      {"job", to_json(job)},
                                      {"prediction", to_json(prediction)},
                                      {"work", to_json(work_of_job(machine, job))},
                                      {"speedup_over", speedups},
                                      {"longest_prompt_tokens", longest},
                                      {"longest_prompt_may_be_longer", longest == kLongestPrompt}};
  fmt::print("{}\n", report.dump(2));
  return ExitStatus::kRight;
}

}  // namespace

void add_predict_command(CLI::App& sim, Work& work) {
  const auto question = std::make_shared<Question>();
  CLI::App* command = sim.add_subcommand("predict", "one configuration: time, parts, memory, band");
  command->add_option("--method", question->method, "one of " + sim_method_names())
      ->capture_default_str();
  add_question_options(*command, *question, Lists::kOne);
  command->add_flag("--work", question->work,
                    "also FLOPs, memory traffic and bytes sent, part by part");
  add_output_options(*command, *question, false, true);
  command->callback([question, command, &work] {
    question->typed = options_as_typed(*command);
    work = [question] { return run_predict(*question); };
  });
}

}  // namespace apb::sim
