#pragma once
/// \file
/// What is printed of a model run.

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "reference/model/evaluate.hpp"
#include "reference/model_io/tokenizer.hpp"

namespace apb {

/// Counters of one rank.
struct RankCounters {
  Counters all_layers;  ///< added up over layers
  Index rows_per_layer = 0;
  double bytes_received_per_layer = 0;
};

/// The results of a run that are printed.
struct RunReport {
  std::vector<int> before_text_tokens;  ///< the document's first, which the tokenizer put there
  std::string before_text;              ///< the same as text
  std::string answer;
  std::vector<int> answer_tokens;
  double prefill_s = 0;
  double total_s = 0;
  std::optional<double> expected_nll;  ///< nats a token, if an answer was expected
  std::vector<double> nll_per_token;   ///< nats; empty if it was not asked for
  std::vector<RankCounters> ranks;

  /// Mean of nll_per_token.
  [[nodiscard]] double text_nll() const;
};

template <class Scalar>
[[nodiscard]] RunReport make_report(const EvaluationRequest& request,
                                    const std::vector<int>& before_text,
                                    const Evaluation<Scalar>& evaluation,
                                    const Tokenizer& tokenizer);

/// Writes the trace and prints what the job asks for (run_request.hpp).
template <class Scalar>
void report_results(const nlohmann::json& job, const EvaluationRequest& request,
                    const Tokenizer& tokenizer, const Evaluation<Scalar>& evaluation);

/// A few lines and a table.
void print_table(const EvaluationRequest& request, const RunReport& report);

/// Everything, with the configuration.
void print_json(const EvaluationRequest& request, const RunReport& report);

}  // namespace apb
