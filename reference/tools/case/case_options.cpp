#include "reference/tools/case/case_options.hpp"

#include <algorithm>
#include <cmath>

#include "reference/case_makers/hard_scores.hpp"
#include "reference/case_makers/preset_case.hpp"
#include "reference/case_makers/random_case.hpp"
#include "reference/cli/file_options.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/unused_options.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

/// What a case is made from, and what belongs to one source only.
void add_sources(CLI::App& app, CaseOptions& options) {
  writes_file(app.add_option("OUT", options.out_path, "case file to write (HDF5)"));
  app.add_flag("--random", options.random, "from seeded random numbers (default)");
  app.add_option("--adversarial", options.adversarial,
                 "from random numbers meant to hurt: " + adversary_names());
  app.add_option("--preset", options.preset,
                 "one rank (--rank) of a configuration of the paper, e.g. llama3-8b-128k");
  reads_files(
      app.add_option("--text", options.text_path, "from a model's run over this text file"));
  reads_files(app.add_option("--check", options.check_path,
                             "read and check a case file, print what it holds"));
  app.add_flag("--bos,!--no-bos", options.bos,
               "with --text: begin it as the tokenizer does: with a BOS, if it puts one (default: "
               "yes)");
  app.add_option("--query", options.query, "with --text: question, put after the text");
  app.add_option("--layer", options.layer, "with --text: which layer, from 0")
      ->capture_default_str();
  reads_files(app.add_option("--weights", options.model.weights_path,
                             "with --text: weights file made by apb import"),
              options.model.weights_path);
  app.add_flag("--toy", options.model.toy,
               "with --text: built-in toy model (random weights, byte tokens)");
  reads_files(
      app.add_option("--heads", options.model.heads_path,
                     "with --text: retaining heads of the model, made by apb import heads"));
}

void add_lengths(CLI::App& app, CaseOptions& options) {
  app.add_option("--method", options.method, "one of " + block_method_names())
      ->capture_default_str();
  app.add_option("--doc-len", options.doc_len, "document tokens");
  app.add_option("--ranks", options.num_ranks, "number of ranks");
  app.add_option("--block-lens", options.block_lens, "tokens of each rank (default: equal)")
      ->delimiter(',');
  app.add_option("--anchor", options.anchor_len, "anchor length");
  app.add_option("--query-len", options.query_len, "query tokens");
  app.add_option("--embedded-query", options.embedded_query_len,
                 "query tokens in every anchor (default: all)");
  app.add_option("--convention", options.convention, "where the query sits: paper or official")
      ->capture_default_str();
  app.add_option("--query-insert-at", options.query_insert_at,
                 "official: anchor tokens before the query");
  app.add_option("--compressor", options.compressor,
                 "query_aware, retaining_head, random, recent or none")
      ->capture_default_str();
  app.add_option("--keep", options.num_kept, "entries each rank keeps and passes, per KV head");
  app.add_option("--pool", options.pool_kernel,
                 "width of the max-pool over scores, odd (default 5; 1 for kinds about the top-k)");
  app.add_option("--q-heads", options.num_q_heads, "query heads (default 8; 2 for these kinds)");
  app.add_option("--kv-heads", options.num_kv_heads, "KV heads (default 2)");
  app.add_option("--head-dim", options.head_dim, "head dimension (default 64; 16 for these kinds)");
}

/// Each of these goes only with that.
void require_with(const CLI::App& app, const std::string& source,
                  const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    if (app.count(name) > 0 && app.count(source) == 0) {
      throw BadInput(fmt::format("{} goes only with {}", name, source));
    }
  }
}

/// None of these goes with that.
void refuse_with(const CLI::App& app, const std::string& source,
                 const std::vector<std::string>& names, std::string_view why) {
  for (const std::string& name : names) {
    if (app.count(source) > 0 && app.count(name) > 0) {
      throw BadInput(fmt::format("{} does not go with {}{}", name, source, why));
    }
  }
}

/// What the method, the compressor and the source want of each other.
void check_method(const CLI::App& app, const CaseOptions& options) {
  const Compressor compressor = parse_compressor(options.compressor);
  const bool retaining = compressor == Compressor::kRetainingHead;
  if (!options.preset.empty() && options.method != "apb") {
    throw BadInput("case", "method", options.method, "apb with --preset");
  }
  if (!options.preset.empty() && compressor != Compressor::kQueryAware) {
    throw BadInput("case", "compressor", options.compressor, "query_aware with --preset");
  }
  if (retaining && !options.text_path.empty() && options.model.heads_path.empty()) {
    throw BadInput("--heads is missing: a model's retaining heads come from a file");
  }
  if (!retaining && app.count("--heads") > 0) {
    throw BadInput("case", "compressor", options.compressor, "retaining_head with --heads");
  }
  const bool about_scores =
      options.adversarial == "ties" || options.adversarial == "signed-zeros" ||
      (!options.adversarial.empty() && has_hard_scores(parse_adversary(options.adversarial)));
  if (about_scores && compressor != Compressor::kQueryAware) {
    throw BadInput("case", "compressor", options.compressor,
                   fmt::format("query_aware with --adversarial {}", options.adversarial));
  }
}

}  // namespace

void add_options(CLI::App& app, CaseOptions& options) {
  add_sources(app, options);
  add_lengths(app, options);
  app.add_option("--dtype", options.value_type,
                 "precision that every input fits in: float64, float32, bfloat16 or float16 "
                 "(default: bfloat16; with --text or shared bits float32)");
  app.add_option("--seed", options.seed, "of random numbers, the random compressor and --sample")
      ->check(whole_number(0, kMaxSeed))
      ->capture_default_str();
  app.add_option("--only-rank,--rank", options.only_rank, "write this rank only");
  app.add_flag("--with-expected", options.with_expected, "also write the true out and lse");
  app.add_flag("--decode", options.decode, "also write a query pass over all ranks' caches");
  app.add_option("--sample", options.sample,
                 "write nothing; print the rows that `apb verify --rows N` judges")
      ->check(whole_number(1, kMaxRows));
}

void check_options(const CLI::App& app, const CaseOptions& options) {
  if (app.count("--check") > 0) {
    for (const CLI::Option* option : app.get_options()) {
      const std::string name = option->get_name();
      const bool fits =
          name == "--check" || name == "--sample" || name == "--seed" || name == "--only-rank";
      if (option->count() > 0 && !fits) {
        throw BadInput(fmt::format("{} does not go with --check: the file has its own", name));
      }
    }
  } else if (options.out_path.empty() && !options.sample) {
    throw BadInput("OUT is missing: name the case file to write (or --check one)");
  }
  refuse_with(app, "--preset", {"--random", "--adversarial", "--text"}, "");
  refuse_with(app, "--text", {"--random", "--adversarial"}, "");
  refuse_with(app, "--text", {"--doc-len", "--query-len"}, ": the text decides");
  refuse_with(app, "--text", {"--q-heads", "--kv-heads", "--head-dim"}, ": the model decides");
  refuse_with(app, "--text", {"--sample"}, ": write the case, then --check it");
  refuse_with(app, "--sample", {"OUT"}, ": it writes nothing");
  refuse_with(app, "--preset", {"--decode"}, ": a query pass needs the caches of all ranks");
  refuse_with(app, "--toy", {"--weights"}, "");
  require_with(app, "--text", {"--query", "--bos", "--layer", "--weights", "--toy", "--heads"});
  if (!options.text_path.empty() && options.query.empty()) {
    throw BadInput("--query is missing: a question of at least one token");
  }
  if (!options.preset.empty()) (void)find_preset(options.preset);
  if (!options.preset.empty() && !options.only_rank) {
    throw BadInput("--rank is missing: a preset makes one rank");
  }
  check_method(app, options);
}

ApbConfig make_config(const CLI::App& app, const CaseOptions& options, const ApbConfig& defaults) {
  ApbConfig config = defaults;
  if (options.doc_len || options.num_ranks || !options.block_lens.empty()) {
    config.block_lens = options.block_lens;
  }
  config.num_ranks = options.num_ranks.value_or(options.block_lens.empty()
                                                    ? defaults.num_ranks
                                                    : static_cast<int>(options.block_lens.size()));
  config.doc_len = options.doc_len.value_or(defaults.doc_len);
  if (!options.doc_len && !options.block_lens.empty() && options.text_path.empty()) {
    config.doc_len = 0;
    for (const Index len : options.block_lens) config.doc_len += len;
  }
  config.anchor_len = options.anchor_len.value_or(defaults.anchor_len);
  config.query_len = options.query_len.value_or(defaults.query_len);
  config.embedded_query_len = options.embedded_query_len.value_or(config.query_len);
  config.anchor_convention = parse_anchor_convention(options.convention);
  config.query_insert_at = options.query_insert_at;
  config.compressor = parse_compressor(options.compressor);
  const bool keeps = config.compressor != Compressor::kNone;
  config.num_kept = options.num_kept.value_or(keeps ? defaults.num_kept : 0);
  config.pool_kernel = options.pool_kernel.value_or(defaults.pool_kernel);
  config.seed = static_cast<std::uint64_t>(options.seed);
  config.num_q_heads = options.num_q_heads.value_or(defaults.num_q_heads);
  config.num_kv_heads = options.num_kv_heads.value_or(defaults.num_kv_heads);
  config.head_dim = options.head_dim.value_or(defaults.head_dim);
  config.softmax_scale = 1.0 / std::sqrt(static_cast<double>(std::max(config.head_dim, Index{1})));
  config.validate();
  if (config.embedded_query_len > config.query_len) {
    throw BadInput("case", "embedded-query", config.embedded_query_len,
                   fmt::format("at most the query's {} tokens", config.query_len));
  }
  const Method method = parse_block_method(options.method);
  ApbConfig used = method_config(method, config);
  used.validate();
  note_unused_options(app, method, config, used);
  const bool selects = keeps_entries(method, used);
  const bool random_compressor = selects && used.compressor == Compressor::kRandom;
  note_idle_options(app, selects, options.text_path.empty() || random_compressor);
  return used;
}

}  // namespace apb
