#include "sim/tools/question.hpp"

#include <fmt/ranges.h>

#include <charconv>
#include <cstdio>

#include "reference/cli/file_options.hpp"
#include "reference/cli/known_models.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/text_table.hpp"
#include "reference/core/error.hpp"
#include "reference/core/standard_error.hpp"
#include "sim/machine/profile_audit.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/work/lengths.hpp"

namespace apb::sim {
namespace {

constexpr Index kMaxTokens = Index{1} << 30;
constexpr Index kMaxRanks = 4096;
constexpr const char* kToken = "TOKENS";

template <class Value>
CLI::Option* list_or_one(CLI::App& command, const std::string& name, std::vector<Value>& values,
                         const std::string& text, Lists lists) {
  const std::string several = lists == Lists::kMany ? "; a,b,c for several" : "";
  CLI::Option* option = command.add_option(name, values, text + several)->delimiter(',');
  if (lists != Lists::kMany) option->expected(1);
  return option->capture_default_str();
}

/// How the document is divided, what is kept of it.
void add_division_options(CLI::App& command, Question& question, Lists lists) {
  list_or_one(command, "--ranks", question.ranks, "ranks that share the document", lists)
      ->check(whole_number(1, kMaxRanks));
  if (lists == Lists::kOne) {
    command
        .add_option("--block-lens", question.block_lens,
                    "tokens of each rank, a,b,c (default: equal)")
        ->check(whole_number(0, kMaxTokens))
        ->delimiter(',');
  }
  list_or_one(command, "--anchor", question.anchor,
              "anchor length, or auto: as the method's authors choose it", lists)
      ->type_name(kToken);
  list_or_one(command, "--keep", question.keep,
              "entries that a rank keeps and passes per KV head, or auto", lists)
      ->type_name(kToken);
}

}  // namespace

void add_question_options(CLI::App& command, Question& question, Lists lists) {
  reads_files(
      command.add_option("--model", question.model, "a name in configs/models, or a .json file"))
      ->capture_default_str();
  reads_files(command.add_option("--machine", question.machine,
                                 "a name in configs/machines, or a .json file"))
      ->capture_default_str();
  list_or_one(command, "--tokens", question.tokens, "document length, e.g. 131072 or 128K", lists)
      ->type_name(kToken);
  if (lists != Lists::kSearched) add_division_options(command, question, lists);
  command.add_option("--query", question.query, "rows of the question")
      ->check(whole_number(0, kMaxTokens))
      ->capture_default_str();
  command
      .add_option("--compressor", question.compressor,
                  "retaining_head, query_aware, random, recent, none, or auto: by method")
      ->capture_default_str();
  command.add_option("--batch", question.batch, "prompts at once")
      ->check(whole_number(1, kMaxTokens))
      ->capture_default_str();
  if (lists != Lists::kSearched) {
    command.add_option("--tp", question.tensor_parallel, "GPUs that share each rank's heads")
        ->check(whole_number(1, kMaxRanks))
        ->capture_default_str();
  }
  command.add_option("--pp", question.pipeline_stages, "groups of GPUs that share the layers")
      ->check(whole_number(1, kMaxRanks))
      ->capture_default_str();
  command
      .add_option("--chunks", question.pipeline_chunks,
                  "pieces that follow each other through --pp")
      ->check(whole_number(1, kMaxRanks))
      ->capture_default_str();
  command.add_option("--backend", question.backend, "attention library, of the machine's tables");
  command
      .add_option(
          "--overlap", question.overlap,
          "share of an exchange that hides behind compute (default: as usual for the method)")
      ->check(real_number(0, 1));
  command.add_flag("--captured", question.captured, "kernels replayed from a graph");
  command.add_flag("--replicate-cache", question.cache_replicated,
                   "all_gather: every rank keeps all keys and values");
  command.add_option("--gpus-per-node", question.gpus_per_node, "instead of the machine's")
      ->check(whole_number(1, kMaxRanks));
  command
      .add_option("--nics", question.nics_per_node,
                  "network cards of a node, instead of the machine's")
      ->check(whole_number(0, kMaxRanks));
  command
      .add_option("--nic-gbs", question.nic_gbytes_per_s, "GB/s of a network card, one direction")
      ->check(real_number(1e-3, 1e6));
}

void add_output_options(CLI::App& command, Question& question, bool csv, bool html) {
  CLI::Option* json = command.add_flag("--json", question.json, "JSON instead of a table");
  if (csv) command.add_flag("--csv", question.csv, "CSV instead of a table")->excludes(json);
  if (html) {
    writes_file(command.add_option("--html", question.html, "also write a report to this file"));
  }
}

std::string options_as_typed(const CLI::App& command) {
  std::string text;
  for (const CLI::Option* option : command.get_options()) {
    if (option->count() == 0) continue;
    text += " " + option->get_name();
    if (option->get_items_expected_max() > 0) {  // not a flag
      text += fmt::format(" {}", fmt::join(option->results(), ","));
    }
  }
  return text;
}

Index parse_tokens(const std::string& word, std::string_view option) {
  Index number = -1;
  const char* end = word.data() + word.size();
  auto [rest, error] = std::from_chars(word.data(), end, number);
  Index unit = 1;
  if (error == std::errc() && rest + 1 == end && (*rest == 'K' || *rest == 'k')) unit = 1 << 10;
  if (error == std::errc() && rest + 1 == end && (*rest == 'M' || *rest == 'm')) unit = 1 << 20;
  if (error != std::errc() || (unit == 1 && rest != end) || number < 0 ||
      number > kMaxTokens / unit) {
    throw BadInput(
        "command line", option, word,
        fmt::format("a number of tokens from 0 to {}, such as 131072, 128K or 1M", kMaxTokens));
  }
  return number * unit;
}

std::vector<Index> parse_token_list(const std::vector<std::string>& words,
                                    std::string_view option) {
  std::vector<Index> numbers;
  for (const std::string& word : words) numbers.push_back(parse_tokens(word, option));
  return numbers;
}

MachineModel machine_of(const Question& question) {
  auto [profile, warnings] = audited_machine(question.machine);
  const auto change = [](SourcedValue& value, double number) {
    value = {number, Provenance::kAssumed, "command line"};
  };
  if (question.gpus_per_node > 0) {
    change(profile.gpus_per_node, static_cast<double>(question.gpus_per_node));
  }
  if (question.nics_per_node >= 0) {
    change(profile.nics_per_node, static_cast<double>(question.nics_per_node));
  }
  if (question.nic_gbytes_per_s > 0)
    change(profile.nic_bytes_per_s, 1e9 * question.nic_gbytes_per_s);
  if (question.gpus_per_node > 0 || question.nics_per_node >= 0 || question.nic_gbytes_per_s > 0) {
    profile.title +=
        fmt::format("; here {} and {} of {:g} GB/s a node",
                    counted(static_cast<Index>(profile.gpus_per_node.number), "GPU"),
                    counted(static_cast<Index>(profile.nics_per_node.number), "network card"),
                    profile.nic_bytes_per_s.number / 1e9);
  }
  MachineModel machine(std::move(profile));
  (void)machine.backend(question.backend);  // refused before anything is said of the machine
  for (const Finding& warning : warnings)
    print_to_stderr(fmt::format("apb-sim: warning: {}\n", warning.line()));
  return machine;
}

ModelSizes model_of(const std::string& name) {
  const ModelShapeFile file = find_model(name);
  const ModelShape& shape = file.shape;
  ModelSizes sizes;
  sizes.name = shape.name;
  sizes.num_layers = shape.num_layers;
  sizes.hidden_size = shape.hidden_size;
  sizes.intermediate_size = shape.intermediate_size;
  sizes.num_q_heads = shape.num_q_heads;
  sizes.num_kv_heads = shape.num_kv_heads;
  sizes.head_dim = shape.head_dim;
  sizes.vocab_size = shape.vocab_size;
  sizes.num_parameters = file.num_parameters();
  return sizes;
}

namespace {

Compressor compressor_of(const Question& question, SimMethod method) {
  if (question.compressor != "auto") {
    const Compressor compressor = parse_compressor(question.compressor);
    if (method != SimMethod::kSpava || compressor != Compressor::kRetainingHead) return compressor;
  }
  if (method != SimMethod::kSpava) return Compressor::kRetainingHead;
  // Spava selects without training: by the query if there is one.
  return question.query > 0 ? Compressor::kQueryAware : Compressor::kRecent;
}

/// \throws BadInput for an option that was given and that the method does not use
void refuse_unused(const Question& question, const SimMethodEntry& entry) {
  const auto refuse = [&](bool given, std::string_view option, const std::string& value,
                          std::string_view why) {
    if (!given) return;
    throw BadInput("command line", option, value,
                   fmt::format("left out with {}, which {}", entry.name, why));
  };
  const auto is_given = [](const std::string& word) { return word != "auto"; };
  const std::string& anchor = question.anchor.front();
  const std::string& keep = question.keep.front();
  refuse(is_given(anchor) && !entry.anchored, "anchor", anchor, "has no anchor");
  refuse(is_given(keep) && !entry.passes, "keep", keep, "passes nothing on");
  refuse(is_given(question.compressor) && !entry.passes, "compressor", question.compressor,
         "passes nothing on");
  refuse(question.compressor == "retaining_head" && entry.method == SimMethod::kSpava, "compressor",
         question.compressor, "selects without training");
  refuse(question.overlap >= 0 && !entry.overlaps, "overlap", fmt::format("{}", question.overlap),
         "computes nothing beside its exchanges");
  refuse(question.cache_replicated && entry.method != SimMethod::kAllGather, "replicate-cache",
         "given", "keeps what its ranks computed");
}

}  // namespace

Job job_of(const Question& question, const ModelSizes& model, SimMethod method, Index doc_len,
           Index ranks, const std::string& anchor, const std::string& keep) {
  Job job;
  set_model(job, model);
  job.method = method;
  job.batch = question.batch;
  job.tensor_parallel = question.tensor_parallel;
  job.pipeline_stages = question.pipeline_stages;
  job.pipeline_chunks = question.pipeline_chunks;
  job.attention_backend = question.backend;
  job.captured = question.captured;
  job.cache_replicated = question.cache_replicated && method == SimMethod::kAllGather;
  if (question.overlap >= 0) job.overlap = question.overlap;

  ApbConfig& lengths = job.lengths;
  const SimMethodEntry& entry = entry_of(method);
  lengths.doc_len = doc_len;
  lengths.num_ranks = static_cast<int>(ranks);
  lengths.query_len = question.query;
  const bool own_blocks = entry.reference && reference_entry(entry).cuts_alone;
  if (entry.division == Division::kDocument && !own_blocks)
    lengths.block_lens = question.block_lens;
  if (entry.anchored && method != SimMethod::kStar && method != SimMethod::kApe) {
    lengths.embedded_query_len = question.query;
  }
  lengths.compressor = entry.passes ? compressor_of(question, method) : Compressor::kNone;
  set_usual_lengths(job);
  if (lengths.compressor == Compressor::kNone) lengths.num_kept = 0;
  if (entry.anchored && anchor != "auto") lengths.anchor_len = parse_tokens(anchor, "anchor");
  if (entry.passes && keep != "auto") lengths.num_kept = parse_tokens(keep, "keep");
  return job;
}

Job job_of(const Question& question) {
  const SimMethodEntry& entry = entry_of(parse_sim_method(question.method));
  refuse_unused(question, entry);
  const Job job = job_of(question, model_of(question.model), entry.method,
                         parse_tokens(question.tokens.front(), "tokens"), question.ranks.front(),
                         question.anchor.front(), question.keep.front());
  if (!question.block_lens.empty() && job.lengths.block_lens.empty()) {
    throw BadInput(
        "command line", "block-lens", fmt::format("{}", fmt::join(question.block_lens, ",")),
        fmt::format("left out with {}, which cuts the document itself", question.method));
  }
  return job;
}

}  // namespace apb::sim
