#include "reference/model_io/run_request.hpp"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

#include "reference/cli/launcher_environment.hpp"
#include "reference/cli/progress.hpp"
#include "reference/cli/unused_options.hpp"
#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/standard_error.hpp"
#include "reference/model_io/request_json.hpp"
#include "reference/model_io/text_input.hpp"

namespace apb {
namespace {

/// Lengths that were not given follow the paper's proportions (its Table 8, up to 256K): an anchor
/// of a quarter, a passing share of an eighth of a block.
/// \param embedded_len tokens of the query that go into every anchor
ApbConfig make_config(const RunOptions& options, Index embedded_len, Index doc_len,
                      Index query_len) {
  ApbConfig config;
  config.doc_len = doc_len;
  config.num_ranks = options.num_ranks;
  config.block_lens = options.block_lens;
  config.query_len = query_len;
  config.anchor_convention = parse_anchor_convention(options.convention);
  config.query_insert_at = options.query_insert_at;
  config.compressor = parse_compressor(options.compressor);
  config.pool_kernel = options.pool_kernel;
  config.seed = options.seed;
  config.ape_temperature = options.ape_temperature;
  config.ape_scale = options.ape_scale;
  config.embedded_query_len = embedded_len;
  // Checked before the block lengths are used below.
  ApbConfig lengths_only;
  lengths_only.doc_len = doc_len;
  lengths_only.num_ranks = config.num_ranks;
  lengths_only.block_lens = config.block_lens;
  lengths_only.validate();
  const Index block_len = config.resolved_block_lens().front();
  const bool star = options.method == to_string(Method::kStar);
  config.anchor_len = options.anchor_len.value_or(star ? block_len : block_len / 4);
  const bool keeps = config.compressor != Compressor::kNone;
  config.num_kept = options.num_kept.value_or(keeps ? block_len / 8 : 0);
  return config;
}

/// One line on stderr where what the tokenizer puts before a text is not as one may think.
void note_beginning(const CLI::App& app, bool bos, const EncodedText& text,
                    const Tokenizer& tokenizer) {
  if (!speaks_for_run()) return;
  const std::string before = tokenizer.decode(text.before);
  if (text.before.empty() && app.count("--bos") > 0) {
    print_to_stderr(fmt::format("{}: note: --{}bos: this tokenizer puts no token before a text\n",
                                app.get_name(), bos ? "" : "no-"));
  } else if (bos && !text.before.empty() && std::ssize(text.ids) >= std::ssize(text.before) &&
             std::equal(text.before.begin(), text.before.end(), text.ids.begin())) {
    print_to_stderr(
        fmt::format("{}: note: the text begins with {} itself: it stands there twice (--no-bos "
                    "leaves out the tokenizer's)\n",
                    app.get_name(), before));
  }
}

/// Tokens of the query that go into every anchor.
Index embedded_len(const CLI::App& app, const RunOptions& options, const std::vector<int>& query,
                   const ModelShape& model) {
  // As its paper has it, Star's anchor holds no query unless that is asked for.
  const bool embeds = app.count("--embed-query") + app.count("--embed-first-turn") > 0
                          ? options.embed_query
                          : options.method != to_string(Method::kStar);
  if (!embeds) return 0;
  if (!options.embed_first_turn) return std::ssize(query);
  const auto end = std::ranges::find_if(
      query, [&](int token) { return std::ranges::count(model.eos_token_ids, Index{token}) > 0; });
  return end - query.begin();
}

/// One line on stderr for each length that asks for more than the text has.
void note_short_text(const CLI::App& app, const ApbConfig& config) {
  if (!speaks_for_run()) return;
  if (config.doc_len == 0) {
    print_to_stderr(fmt::format("{}: note: the text is empty: the question is all that is read\n",
                                app.get_name()));
  }
  const Index longest = std::ranges::max(config.resolved_block_lens());
  if (app.count("--keep") > 0 && config.num_kept > longest) {
    print_to_stderr(fmt::format("{}: note: --keep {}: no block has more than {} tokens to keep\n",
                                app.get_name(), config.num_kept, longest));
  }
}

EvaluationRequest make_request(const CLI::App& app, const RunOptions& options,
                               const EncodedText& text, const EncodedText& query,
                               const EncodedText& expected, const ModelShape& model) {
  EvaluationRequest request;
  request.method = parse_method(options.method);
  request.document = text.ids;
  request.query = query.ids;
  request.expected_answer = expected.ids;
  request.max_answer_tokens = options.max_answer_tokens;
  ApbConfig config = make_config(options, embedded_len(app, options, query.ids, model),
                                 std::ssize(text.ids), std::ssize(query.ids));
  set_model_shape(config, model);
  request.config = method_config(request.method, config);
  request.config.validate();
  note_unused_options(app, request.method, config, request.config);
  const bool keeps = keeps_entries(request.method, request.config);
  note_idle_options(app, keeps, keeps && config.compressor == Compressor::kRandom);
  note_short_text(app, request.config);
  if (options.per_token_nll && !text.ids.empty()) {
    request.nll_positions.resize(text.ids.size() - 1);
    std::iota(request.nll_positions.begin(), request.nll_positions.end(), Index{1});
  }
  return request;
}

void warn_if_too_long(const EvaluationRequest& request, const ModelShape& model) {
  const Index length =
      request.config.doc_len + request.config.query_len + request.max_answer_tokens;
  if (length > model.context_len && speaks_for_run()) {
    print_to_stderr(fmt::format(
        "apb-run: warning: text, query and answer need {} tokens, but {} was trained for {}; "
        "expect poor answers\n",
        length, model.name, model.context_len));
  }
}

}  // namespace

nlohmann::json prepare_job(const CLI::App& app, const RunOptions& options,
                           const Precisions& precisions) {
  if (options.query.empty()) throw BadInput("--query is missing: a question of at least one token");
  if (std::ranges::count(precisions, options.precision) == 0) {
    throw BadInput("run", "precision", options.precision,
                   fmt::format("{}", fmt::join(precisions, " or ")));
  }
  if (options.max_answer_tokens < 0) {
    throw BadInput("run", "max-answer", options.max_answer_tokens, "at least 0");
  }
  (void)parse_method(options.method);
  const bool wants_heads = parse_compressor(options.compressor) == Compressor::kRetainingHead;
  if (wants_heads && options.model.heads_path.empty()) {
    throw BadInput("--heads is missing: compressor retaining_head needs a file of trained heads");
  }
  if (!wants_heads && !options.model.heads_path.empty()) {
    throw BadInput("run", "compressor", options.compressor, "retaining_head with --heads");
  }
  if (options.text_path.empty()) {
    throw BadInput("--text is missing: name a text file, or - for standard input");
  }
  options.model.check();
  const ModelShape model = options.model.shape();
  const Tokenizer tokenizer = options.model.tokenizer();
  const std::string text = read_text(options.text_path, model, tokenizer);
  tokenizer.require_text("--query", options.query);
  tokenizer.require_text("--expect", options.expected);
  const auto encoded = tokenizer.encode({text, options.query, options.expected});
  require_text_length(options.text_path, std::ssize(encoded[0].ids), model);
  if (encoded[1].ids.empty()) {
    throw BadInput("--query: has no token: the model's vocabulary lacks all its characters");
  }
  if (encoded[2].ids.empty() && !options.expected.empty()) {
    throw BadInput("--expect: has no token: the model's vocabulary lacks all its characters");
  }
  note_beginning(app, options.bos, encoded[0], tokenizer);
  const EncodedText document = options.bos ? beginning(encoded[0]) : encoded[0];
  const EvaluationRequest request =
      make_request(app, options, document, encoded[1], encoded[2], model);
  if (!options.trace_path.empty()) Hdf5Writer(options.trace_path);  // refuse now, not at the end
  warn_if_too_long(request, model);
  return {{"model", options.model},
          {"precision", options.precision},
          {"request", request},
          {"before_text", options.bos ? encoded[0].before : std::vector<int>{}},
          {"trace_path", options.trace_path},
          {"json", options.json},
          {"progress_on_terminal", Progress::on_terminal()}};
}

}  // namespace apb
