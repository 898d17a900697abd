// apb demo: the main job. A real language model reads a text over MPI ranks by six methods; the
// table shows what each block of APB contributes.

#include <fmt/core.h>

#include <algorithm>

#include "reference/cli/file_options.hpp"
#include "reference/cli/progress.hpp"
#include "reference/cli/text_table.hpp"
#include "reference/cli/tool_main.hpp"
#include "reference/core/available_cores.hpp"
#include "reference/launch/launch.hpp"
#include "reference/model_io/model_source.hpp"
#include "reference/model_io/request_json.hpp"
#include "reference/tools/demo/demo_report.hpp"

namespace apb {
namespace {

constexpr int kFillers = 75;     // about 1,860 tokens of SmolLM2
constexpr int kToyFillers = 16;  // about 1,600 bytes
constexpr Index kAnswerTokens = 8;

struct DemoOptions {
  ModelSource model{.weights_path = ModelSource::default_path()};
  int num_ranks = 4;
  std::string transport = "mpi";
  Index anchor_len = 128;
  Index num_kept = 64;
  std::string key = "457901";
  bool json = false;
};

/// What the demo compares, in table order; query-aware APB runs first, for the picture.
struct Variant {
  const char* label;
  Method method;
  bool block_anchor;  ///< anchor as long as the block, without the query, as Star's paper has it
  Compressor compressor;
};

constexpr std::array kVariants{
    Variant{"Full (one rank)", Method::kFull, false, Compressor::kNone},
    Variant{"Star, anchor = block", Method::kStar, true, Compressor::kNone},
    Variant{"Star, APB's anchor", Method::kStar, false, Compressor::kNone},
    Variant{"APB, query-aware", Method::kApb, false, Compressor::kQueryAware},
    Variant{"APB, random", Method::kApb, false, Compressor::kRandom},
    Variant{"APB, most recent", Method::kApb, false, Compressor::kRecent}};
constexpr std::array<std::size_t, kVariants.size()> kRunOrder{3, 0, 1, 2, 4, 5};

ApbConfig variant_config(const Variant& variant, const DemoOptions& options, const DemoStory& story,
                         const ModelShape& model) {
  ApbConfig config;
  config.doc_len = std::ssize(story.document);
  config.num_ranks = options.num_ranks;
  config.query_len = std::ssize(story.query);
  config.embedded_query_len = variant.block_anchor ? 0 : config.query_len;
  config.anchor_len =
      variant.block_anchor ? config.resolved_block_lens().front() : options.anchor_len;
  config.compressor = variant.compressor;
  config.num_kept = variant.compressor == Compressor::kNone ? 0 : options.num_kept;
  set_model_shape(config, model);
  config = method_config(variant.method, config);
  config.validate();
  return config;
}

nlohmann::json prepare_job(const DemoOptions& options) {
  if (options.key.empty() || !std::all_of(options.key.begin(), options.key.end(),
                                          [](char c) { return '0' <= c && c <= '9'; })) {
    throw BadInput("demo", "key", options.key, "digits");
  }
  if (options.num_ranks < 2 || options.num_ranks > 16) {
    throw BadInput("demo", "ranks", options.num_ranks, "between 2 and 16");
  }
  options.model.check();
  const ModelShape model = options.model.shape();
  const DemoStory story = tell_story(options.model.tokenizer(), options.key,
                                     options.model.toy ? kToyFillers : kFillers);
  nlohmann::json job{{"model", options.model},
                     {"key", options.key},
                     {"fact", story.fact},
                     {"restatement", story.restatement},
                     {"before_text", story.before_text},
                     {"json", options.json},
                     {"progress_on_terminal", Progress::on_terminal()}};
  for (const Variant& variant : kVariants) {
    EvaluationRequest request{.method = variant.method,
                              .config = variant_config(variant, options, story, model),
                              .document = story.document,
                              .query = story.query,
                              .expected_answer = story.expected_answer,
                              .max_answer_tokens = kAnswerTokens};
    for (Index doc_pos = story.restated_digits.first; doc_pos < story.restated_digits.second;
         ++doc_pos) {
      request.nll_positions.push_back(doc_pos);
    }
    job["requests"].push_back(request);
  }
  return job;
}

/// One table line, still without its distance to Full.
DemoResult summarize(const Variant& variant, const Evaluation<float>& evaluation,
                     const EvaluationRequest& request, const Tokenizer& tokenizer,
                     const std::string& key) {
  DemoResult result{.label = variant.label, .method = variant.method};
  for (const double nll : evaluation.nll) {
    result.restated_nll += nll / static_cast<double>(evaluation.nll.size());
  }
  result.answer = tokenizer.decode(evaluation.answer);
  result.answer_right = result.answer.find(key) != std::string::npos;
  result.answer_nll = mean_nll(evaluation.expected_log_probabilities, request.expected_answer);
  for (const auto& layers : evaluation.counters) {
    const Counters& counters = layers.front();  // the same in every layer
    result.busiest_rows = std::max(result.busiest_rows, counters.rows_computed);
    result.sent_bytes = std::max(result.sent_bytes, counters.bytes_sent);
    result.received_bytes = std::max(result.received_bytes, counters.bytes_received);
  }
  result.prefill_s = evaluation.prefill_s;
  return result;
}

void measure_distance(DemoResult& result, const Matrix<double>& full, const Matrix<double>& own) {
  result.first_token_kl = kl_divergence(full.row(0), own.row(0));
  for (Index token = 0; token < full.rows(); ++token) {
    result.answer_kl +=
        kl_divergence(full.row(token), own.row(token)) / static_cast<double>(full.rows());
  }
}

nlohmann::json as_json(const DemoResult& result) {
  return {{"label", result.label},
          {"method", to_string(result.method)},
          {"restated_nll", result.restated_nll},
          {"answer", result.answer},
          {"answer_right", result.answer_right},
          {"answer_nll", result.answer_nll},
          {"first_token_kl", result.first_token_kl},
          {"answer_kl", result.answer_kl},
          {"busiest_rows", result.busiest_rows},
          {"sent_bytes_per_layer", result.sent_bytes},
          {"received_bytes_per_layer", result.received_bytes},
          {"prefill_s", result.prefill_s}};
}

/// The picture before the table: the layout, then what the query-aware run kept in a middle layer.
void print_picture(const DemoStory& story, const EvaluationRequest& request,
                   const Evaluation<float>& evaluation) {
  const BlockLayout layout = make_block_layout(request.config);
  const Index num_layers = std::ssize(evaluation.counters.front());
  const Index middle = num_layers / 2;
  std::vector<std::vector<std::vector<Index>>> kept;
  for (const auto& rank : evaluation.selections) {
    kept.push_back(rank[static_cast<std::size_t>(middle)].kept_positions);
  }
  fmt::print("{}\n{}\n", draw_document(story, layout, request.config),
             draw_kept(story, layout, kept, middle, num_layers));
  std::fflush(stdout);
}

void print_report(const std::vector<DemoResult>& results, const ApbConfig& config, bool toy) {
  fmt::print("{}\n", draw_table(results));
  if (toy) {
    fmt::print("{}",
               wrapped("This is the toy model: its weights are random, so nll, answers and KL "
                       "mean nothing here; the layout, what is kept and passed, rows and bytes "
                       "are as with a real model."));
  } else {
    fmt::print("{}", conclude(results, config, available_cores()));
  }
}

ExitStatus run_job(const RankEnvironment& rank, const nlohmann::json& job,
                   SharedWeights<float>& shared_weights) {
  const auto model = job.at("model").get<ModelSource>();
  const auto requests = job.at("requests").get<std::vector<EvaluationRequest>>();
  const bool json = job.at("json");
  const bool is_root = rank.communicator.rank() == 0;
  const ModelWeights<float>& weights = shared_weights.get(model);
  const Tokenizer tokenizer = is_root ? model.tokenizer() : Tokenizer::of_bytes();
  DemoStory story{.before_text = job.at("before_text"),
                  .document = requests.front().document,
                  .fact = job.at("fact"),
                  .restatement = job.at("restatement")};

  std::vector<DemoResult> results(kVariants.size());
  std::vector<Matrix<double>> log_probabilities(kVariants.size());
  for (std::size_t step = 0; step < kRunOrder.size(); ++step) {
    const std::size_t index = kRunOrder[step];
    const EvaluationRequest& request = requests[index];
    Progress progress(fmt::format("[{}/{}] {}", step + 1, kRunOrder.size(), kVariants[index].label),
                      weights.shape.num_layers, job.at("progress_on_terminal"));
    const Evaluation<float> evaluation =
        evaluate(request, weights, rank, [&](Index layers) { progress.done(layers); });
    if (!is_root) continue;
    progress.clear();
    results[index] = summarize(kVariants[index], evaluation, request, tokenizer, job.at("key"));
    log_probabilities[index] = evaluation.expected_log_probabilities;
    if (step == 0 && !json) print_picture(story, request, evaluation);
  }
  if (!is_root) return ExitStatus::kRight;

  for (std::size_t i = 0; i < results.size(); ++i) {
    measure_distance(results[i], log_probabilities[0], log_probabilities[i]);
  }
  if (json) {
    nlohmann::json report{{"model", weights.shape.name}, {"config", requests[3].config}};
    for (const DemoResult& result : results) report["results"].push_back(as_json(result));
    fmt::print("{}\n", report.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
  } else {
    print_report(results, requests[3].config, model.toy);
  }
  return ExitStatus::kRight;
}

}  // namespace
}  // namespace apb

int main(int argc, char** argv) {
  CLI::App app("APB's main job: a restated fact, read over ranks by six methods.", "apb-demo");
  apb::DemoOptions options;
  apb::reads_files(
      app.add_option("--weights", options.model.weights_path, "weights file made by apb import"),
      options.model.weights_path);
  app.add_flag("--toy", options.model.toy, "built-in toy model (random weights, byte tokens)");
  app.add_option("--ranks", options.num_ranks, "number of ranks, 2 to 16")->capture_default_str();
  app.add_option("--transport", options.transport, "mpi or local")->capture_default_str();
  app.add_option("--anchor", options.anchor_len, "document tokens in the anchor")
      ->capture_default_str();
  app.add_option("--keep", options.num_kept, "entries kept and passed per rank and KV head")
      ->capture_default_str();
  app.add_option("--key", options.key, "the pass key, digits")->capture_default_str();
  app.add_flag("--json", options.json, "print the results as JSON");
  const auto work = [&] {
    apb::SharedWeights<float> weights;
    return apb::launch(
        app.get_name(), apb::parse_transport(options.transport), options.num_ranks,
        [&] { return apb::prepare_job(options); },
        [&](const apb::RankEnvironment& rank, const nlohmann::json& job) {
          return apb::run_job(rank, job, weights);
        });
  };
  return apb::tool_main(app, argc, argv, work, apb::end_rank);
}
