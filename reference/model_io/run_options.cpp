#include "reference/model_io/run_options.hpp"

#include <fmt/ranges.h>

#include "reference/cli/file_options.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/core/plans/method_list.hpp"

namespace apb {

void add_options(CLI::App& app, RunOptions& options, const Precisions& precisions) {
  options.precision = precisions.front();
  reads_files(
      app.add_option("--text", options.text_path, "text file to prefill ('-': standard input)"));
  app.add_flag("--bos,!--no-bos", options.bos,
               "begin the text as the tokenizer does: with a BOS, if it puts one (default: yes)");
  app.add_option("--query", options.query, "question, put after the text");
  app.add_option("--expect", options.expected, "answer whose nll is measured (teacher-forced)");
  auto* weights = reads_files(
      app.add_option("--weights", options.model.weights_path, "weights file made by apb import"),
      options.model.weights_path);
  app.add_flag("--toy", options.model.toy, "built-in toy model (random weights, byte tokens)")
      ->excludes(weights);
  app.add_option("--precision", options.precision, fmt::format("{}", fmt::join(precisions, " or ")))
      ->capture_default_str();
  app.add_option("--method", options.method, "one of " + method_names())->capture_default_str();
  app.add_option("--ranks", options.num_ranks, "number of ranks")->capture_default_str();
  app.add_option("--transport", options.transport,
                 "local (threads of one process) or mpi (one process a rank)")
      ->capture_default_str();
  app.add_option("--block-lens", options.block_lens, "tokens of each rank (default: equal)")
      ->delimiter(',');
  app.add_option("--anchor", options.anchor_len,
                 "anchor length (default: a quarter of rank 0's block; all of it for star)");
  app.add_option("--convention", options.convention, "where the query sits: paper or official")
      ->capture_default_str();
  app.add_option("--query-insert-at", options.query_insert_at,
                 "official: anchor tokens before the query");
  app.add_flag("--embed-query,!--no-embed-query", options.embed_query,
               "put the query into every anchor (default: yes; no for star)");
  app.add_flag("--embed-first-turn", options.embed_first_turn,
               "of the query, put only what stands before its first end token there, as the "
               "authors' benchmark does");
  app.add_option("--compressor", options.compressor,
                 "query_aware, retaining_head (with --heads), random, recent or none")
      ->capture_default_str();
  reads_files(app.add_option("--heads", options.model.heads_path,
                             "retaining heads of this model, made by apb import heads"));
  app.add_option("--keep", options.num_kept,
                 "entries each rank keeps and passes, per KV head (default: an eighth of a block)");
  app.add_option("--pool", options.pool_kernel,
                 "width of the max-pool over scores, odd (1: no pooling)")
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the random compressor")
      ->check(whole_number(0, kMaxSeed))
      ->capture_default_str();
  app.add_option("--ape-temperature", options.ape_temperature,
                 "ape: divides the question's scores against contexts")
      ->capture_default_str();
  app.add_option("--ape-scale", options.ape_scale,
                 "ape: scales their log-sum-exp, with the temperature")
      ->capture_default_str();
  app.add_option("--max-answer", options.max_answer_tokens, "most tokens of the answer")
      ->capture_default_str();
  app.add_flag("--nll", options.per_token_nll, "also measure the nll of every text token");
  app.add_flag("--json", options.json, "print the results as JSON");
  writes_file(app.add_option("--trace", options.trace_path,
                             "write kept positions, scores and counters to an HDF5 file"));
}

}  // namespace apb
