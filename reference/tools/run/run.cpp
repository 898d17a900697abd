// apb run: prefill a text by any method over ranks, ask a question, report what it took.

#include <fmt/core.h>

#include <iostream>
#include <iterator>
#include <numeric>
#include <optional>

#include "reference/cli/launcher_environment.hpp"
#include "reference/cli/number_checks.hpp"
#include "reference/cli/progress.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/cli/unused_options.hpp"
#include "reference/cli/whole_file.hpp"
#include "reference/core/hdf5_file.hpp"
#include "reference/io/model_source.hpp"
#include "reference/io/request_json.hpp"
#include "reference/io/trace_file.hpp"
#include "reference/launch/launch.hpp"

namespace apb {
namespace {

struct RunOptions {
  std::string text_path;
  std::string query;
  std::string expected;
  ModelSource model{.weights_path = ModelSource::default_path()};
  std::string precision = "float";
  std::string method = "apb";
  int num_ranks = 4;
  std::string transport = "local";
  std::vector<Index> block_lens;
  std::optional<Index> anchor_len;
  std::string convention = "paper";
  Index query_insert_at = 0;
  bool embed_query = true;
  std::string compressor = "query_aware";
  std::optional<Index> num_kept;
  Index pool_kernel = 5;
  std::uint64_t seed = 0;
  double ape_temperature = 0.9;  // its authors' defaults
  double ape_scale = 0.9;
  Index max_answer_tokens = 32;
  bool per_token_nll = false;
  bool json = false;
  std::string trace_path;
};

void add_options(CLI::App& app, RunOptions& options) {
  app.add_option("--text", options.text_path, "text file to prefill ('-': standard input)");
  app.add_option("--query", options.query, "question, put after the text");
  app.add_option("--expect", options.expected, "answer whose nll is measured (teacher-forced)");
  auto* weights =
      app.add_option("--weights", options.model.weights_path, "weights file made by apb import");
  app.add_flag("--toy", options.model.toy, "built-in toy model (random weights, byte tokens)")
      ->excludes(weights);
  app.add_option("--precision", options.precision, "float or double")->capture_default_str();
  app.add_option("--method", options.method,
                 "full, ring, zigzag_ring, ulysses, star, ape, apb or spava")
      ->capture_default_str();
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
  app.add_option("--compressor", options.compressor,
                 "query_aware, retaining_head (with --heads), random, recent or none")
      ->capture_default_str();
  app.add_option("--heads", options.model.heads_path,
                 "retaining heads of this model, made by apb import heads");
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
  app.add_option("--trace", options.trace_path,
                 "write kept positions, scores and counters to an HDF5 file");
}

std::string read_text(const std::string& path) {
  if (path.empty()) throw BadInput("--text is missing: name a text file, or - for standard input");
  if (path == "-") {
    if (started_by_mpi()) {
      throw BadInput(
          "--text -: standard input reaches one process of an MPI run only: name a file");
    }
    return {std::istreambuf_iterator<char>(std::cin), {}};
  }
  return read_whole_file(path);
}

/// Lengths that were not given follow the paper's proportions (facts: l_a = l_b / 4, l_p = l_b /
/// 8).
ApbConfig make_config(const RunOptions& options, bool embed_query, Index doc_len, Index query_len) {
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
  config.embedded_query_len = embed_query ? query_len : 0;
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

EvaluationRequest make_request(const CLI::App& app, const RunOptions& options, bool embed_query,
                               const EncodedText& text, const EncodedText& query,
                               const EncodedText& expected, const ModelShape& model) {
  EvaluationRequest request;
  request.method = parse_method(options.method);
  request.document = text.ids;
  request.query = query.ids;
  request.expected_answer = expected.ids;
  request.max_answer_tokens = options.max_answer_tokens;
  ApbConfig config = make_config(options, embed_query, std::ssize(text.ids), std::ssize(query.ids));
  set_model_shape(config, model);
  request.config = method_config(request.method, config);
  request.config.validate();
  note_unused_options(app, options.method, config, request.config);
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
    fmt::print(
        stderr,
        "apb-run: warning: text, query and answer need {} tokens, but {} was trained for {}; "
        "expect poor answers\n",
        length, model.name, model.context_len);
  }
}

nlohmann::json prepare_job(const CLI::App& app, const RunOptions& options) {
  if (options.query.empty()) throw BadInput("--query is missing: a question of at least one token");
  if (options.precision != "float" && options.precision != "double") {
    throw BadInput("run", "precision", options.precision, "float or double");
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
  const std::string text = read_text(options.text_path);
  options.model.check();
  const ModelShape model = options.model.shape();
  const auto encoded = options.model.tokenizer().encode({text, options.query, options.expected});
  if (encoded[1].ids.empty()) {
    throw BadInput("--query: has no token: the model's vocabulary lacks all its characters");
  }
  if (encoded[2].ids.empty() && !options.expected.empty()) {
    throw BadInput("--expect: has no token: the model's vocabulary lacks all its characters");
  }
  // As its paper has it, Star's anchor holds no query unless that is asked for.
  const bool embed_query = app.count("--embed-query") > 0
                               ? options.embed_query
                               : options.method != to_string(Method::kStar);
  const EvaluationRequest request =
      make_request(app, options, embed_query, encoded[0], encoded[1], encoded[2], model);
  if (!options.trace_path.empty()) Hdf5Writer(options.trace_path);  // refuse now, not at the end
  warn_if_too_long(request, model);
  return {{"model", options.model}, {"precision", options.precision},
          {"request", request},     {"trace_path", options.trace_path},
          {"json", options.json},   {"progress_on_terminal", Progress::on_terminal()}};
}

void print_json(const EvaluationRequest& request, const nlohmann::json& results) {
  nlohmann::json report = results;
  report["method"] = to_string(request.method);
  report["config"] = request.config;
  fmt::print("{}\n", report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

void print_table(const EvaluationRequest& request, const nlohmann::json& results) {
  const ApbConfig& config = request.config;
  fmt::print("{}, {} tokens on {} rank{}, anchor {}, {} query tokens embedded, compressor {}{}\n",
             to_string(request.method), config.doc_len, config.num_ranks,
             config.num_ranks == 1 ? "" : "s", config.anchor_len, config.embedded_query_len,
             to_string(config.compressor),
             config.num_kept > 0 ? fmt::format(", {} kept per KV head", config.num_kept) : "");
  fmt::print("answer: {}\n", results.at("answer").get<std::string>());
  if (results.contains("expected_nll")) {
    fmt::print("nll of the expected answer: {:.3f} nats a token\n",
               results.at("expected_nll").get<double>());
  }
  if (results.contains("text_nll")) {
    fmt::print("nll of the text: {:.3f} nats a token\n", results.at("text_nll").get<double>());
  }
  fmt::print("\nrank    rows  attention GFLOP  projection GFLOP  received KiB a layer\n");
  int rank = 0;
  for (const auto& counters : results.at("counters_per_rank")) {
    const auto giga = [&](const char* key) { return counters.at(key).get<double>() * 1e-9; };
    fmt::print("{:>4} {:>7}  {:>15.2f}  {:>16.2f}  {:>20.1f}\n", rank++,
               counters.at("rows_per_layer").get<Index>(), giga("attention_flop"),
               giga("projection_flop"),
               counters.at("bytes_received_per_layer").get<double>() / 1024);
  }
  fmt::print("\nprefill {:.2f} s, all {:.2f} s\n", results.at("prefill_s").get<double>(),
             results.at("total_s").get<double>());
}

template <class Scalar>
nlohmann::json summarize(const EvaluationRequest& request, const Evaluation<Scalar>& evaluation,
                         const Tokenizer& tokenizer) {
  nlohmann::json results{{"answer", tokenizer.decode(evaluation.answer)},
                         {"answer_tokens", evaluation.answer},
                         {"prefill_s", evaluation.prefill_s},
                         {"total_s", evaluation.total_s}};
  if (!request.expected_answer.empty()) {
    results["expected_nll"] =
        mean_nll(evaluation.expected_log_probabilities, request.expected_answer);
  }
  if (!evaluation.nll.empty()) {
    results["text_nll"] = std::accumulate(evaluation.nll.begin(), evaluation.nll.end(), 0.0) /
                          static_cast<double>(evaluation.nll.size());
    results["nll_per_token"] = evaluation.nll;
  }
  for (const auto& layers : evaluation.counters) {
    nlohmann::json counters = total(layers);
    const auto num_layers = std::ssize(layers);
    counters["rows_per_layer"] = layers.front().rows_computed;
    counters["bytes_received_per_layer"] =
        counters.at("bytes_received").get<double>() / static_cast<double>(num_layers);
    results["counters_per_rank"].push_back(std::move(counters));
  }
  return results;
}

template <class Scalar>
ExitStatus run_job(const RankEnvironment& rank, const nlohmann::json& job,
                   SharedWeights<Scalar>& shared_weights) {
  const auto model = job.at("model").get<ModelSource>();
  const auto request = job.at("request").get<EvaluationRequest>();
  const ModelWeights<Scalar>& weights = shared_weights.get(model);
  const Progress progress(std::string(to_string(request.method)), weights.shape.num_layers,
                          job.at("progress_on_terminal"));
  const Evaluation<Scalar> evaluation =
      evaluate(request, weights, rank, [&](Index layers) { progress.layer_done(layers); });
  if (rank.communicator.rank() != 0) return ExitStatus::kRight;

  progress.clear();
  if (const std::string trace = job.at("trace_path"); !trace.empty()) {
    write_trace(trace, request, evaluation);
  }
  const nlohmann::json results = summarize(request, evaluation, model.tokenizer());
  if (job.at("json").get<bool>()) {
    print_json(request, results);
  } else {
    print_table(request, results);
  }
  return ExitStatus::kRight;
}

}  // namespace
}  // namespace apb

int main(int argc, char** argv) {
  CLI::App app("Prefill a text over ranks by a method, answer a question, report what it took.",
               "apb-run");
  apb::RunOptions options;
  apb::add_options(app, options);
  return apb::tool_main(
      app, argc, argv,
      [&] {
        apb::SharedWeights<float> float_weights;
        apb::SharedWeights<double> double_weights;
        return apb::launch(
            apb::parse_transport(options.transport), options.num_ranks,
            [&] { return apb::prepare_job(app, options); },
            [&](const apb::RankEnvironment& rank, const nlohmann::json& job) {
              return job.at("precision") == "double" ? apb::run_job(rank, job, double_weights)
                                                     : apb::run_job(rank, job, float_weights);
            });
      },
      apb::process_exit_code);
}
