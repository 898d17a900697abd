#include "reference/model_io/run_report.hpp"

#include <fmt/core.h>

#include <numeric>

#include "reference/model_io/request_json.hpp"
#include "reference/model_io/trace_file.hpp"

namespace apb {

double RunReport::text_nll() const {
  return std::accumulate(nll_per_token.begin(), nll_per_token.end(), 0.0) /
         static_cast<double>(nll_per_token.size());
}

template <class Scalar>
RunReport make_report(const EvaluationRequest& request, const std::vector<int>& before_text,
                      const Evaluation<Scalar>& evaluation, const Tokenizer& tokenizer) {
  RunReport report{.before_text_tokens = before_text,
                   .before_text = tokenizer.decode(before_text),
                   .answer = tokenizer.decode(evaluation.answer),
                   .answer_tokens = evaluation.answer,
                   .prefill_s = evaluation.prefill_s,
                   .total_s = evaluation.total_s,
                   .expected_nll = std::nullopt,
                   .nll_per_token = evaluation.nll,
                   .ranks = {}};
  if (!request.expected_answer.empty()) {
    report.expected_nll = mean_nll(evaluation.expected_log_probabilities, request.expected_answer);
  }
  for (const auto& layers : evaluation.counters) {
    const Counters all = total(layers);
    report.ranks.push_back(
        {all, layers.front().rows_computed,
         static_cast<double>(all.bytes_received) / static_cast<double>(std::ssize(layers))});
  }
  return report;
}

template <class Scalar>
void report_results(const nlohmann::json& job, const EvaluationRequest& request,
                    const Tokenizer& tokenizer, const Evaluation<Scalar>& evaluation) {
  if (const std::string trace = job.at("trace_path"); !trace.empty()) {
    write_trace(trace, request, evaluation);
  }
  const RunReport report = make_report(request, job.at("before_text"), evaluation, tokenizer);
  if (job.at("json").get<bool>()) {
    print_json(request, report);
  } else {
    print_table(request, report);
  }
}

void print_table(const EvaluationRequest& request, const RunReport& report) {
  const ApbConfig& config = request.config;
  fmt::print("{}, {} tokens{} on {} rank{}, anchor {}, {} query tokens embedded, compressor {}{}\n",
             to_string(request.method), config.doc_len,
             report.before_text.empty() ? "" : fmt::format(" ({} first)", report.before_text),
             config.num_ranks, config.num_ranks == 1 ? "" : "s", config.anchor_len,
             config.embedded_query_len, to_string(config.compressor),
             config.num_kept > 0 ? fmt::format(", {} kept per KV head", config.num_kept) : "");
  fmt::print("answer: {}\n", report.answer);
  if (report.expected_nll) {
    fmt::print("nll of the expected answer: {:.3f} nats a token\n", *report.expected_nll);
  }
  if (!report.nll_per_token.empty()) {
    fmt::print("nll of the text: {:.3f} nats a token\n", report.text_nll());
  }
  fmt::print("\nrank    rows  attention GFLOP  projection GFLOP  received KiB a layer\n");
  int rank = 0;
  for (const RankCounters& counters : report.ranks) {
    const auto giga = [](std::int64_t flop) { return static_cast<double>(flop) * 1e-9; };
    fmt::print("{:>4} {:>7}  {:>15.2f}  {:>16.2f}  {:>20.1f}\n", rank++, counters.rows_per_layer,
               giga(counters.all_layers.attention_flop), giga(counters.all_layers.projection_flop),
               counters.bytes_received_per_layer / 1024);
  }
  fmt::print("\nprefill {:.2f} s, all {:.2f} s\n", report.prefill_s, report.total_s);
}

void print_json(const EvaluationRequest& request, const RunReport& report) {
  nlohmann::json json{{"method", to_string(request.method)},
                      {"config", request.config},
                      {"before_text_tokens", report.before_text_tokens},
                      {"answer", report.answer},
                      {"answer_tokens", report.answer_tokens},
                      {"prefill_s", report.prefill_s},
                      {"total_s", report.total_s}};
  if (report.expected_nll) json["expected_nll"] = *report.expected_nll;
  if (!report.nll_per_token.empty()) {
    json["text_nll"] = report.text_nll();
    json["nll_per_token"] = report.nll_per_token;
  }
  for (const RankCounters& rank : report.ranks) {
    nlohmann::json counters = rank.all_layers;
    counters["rows_per_layer"] = rank.rows_per_layer;
    counters["bytes_received_per_layer"] = rank.bytes_received_per_layer;
    json["counters_per_rank"].push_back(std::move(counters));
  }
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace));
}

template void report_results(const nlohmann::json&, const EvaluationRequest&, const Tokenizer&,
                             const Evaluation<float>&);
template void report_results(const nlohmann::json&, const EvaluationRequest&, const Tokenizer&,
                             const Evaluation<double>&);
template RunReport make_report(const EvaluationRequest&, const std::vector<int>&,
                               const Evaluation<float>&, const Tokenizer&);
template RunReport make_report(const EvaluationRequest&, const std::vector<int>&,
                               const Evaluation<double>&, const Tokenizer&);

}  // namespace apb
