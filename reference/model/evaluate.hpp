#pragma once
/// \file
/// The whole job on all ranks: prefill, the nll of chosen document tokens, the expected answer's
/// probability, the greedy answer, and everything that was counted or kept on the way.

#include <functional>
#include <optional>
#include <vector>

#include "reference/core/communicator.hpp"
#include "reference/core/matrix.hpp"
#include "reference/model/prefill.hpp"

namespace apb {

/// What to run and what to measure. The same on all ranks.
struct EvaluationRequest {
  Method method = Method::kFull;
  ApbConfig config{};           ///< made by method_config, fits the model
  std::vector<int> document{};  ///< doc_len token ids
  std::vector<int> query{};     ///< at least one token; the first embedded_query_len are embedded
  std::vector<int> expected_answer{};  ///< may be empty: nothing teacher-forced
  std::vector<Index> nll_positions{};  ///< doc_pos, ascending, none 0
  Index max_answer_tokens = 0;
};

/// The results, complete on rank 0 only.
template <class Scalar>
struct Evaluation {
  std::vector<int> answer;                                 ///< greedy
  Matrix<double> expected_log_probabilities;               ///< [expected tokens, vocab_size]
  std::vector<double> nll;                                 ///< nats, one per nll position
  std::vector<std::vector<Counters>> counters;             ///< [rank][layer], prefill only
  std::vector<std::vector<Selection<Scalar>>> selections;  ///< [rank][layer]; empty: nothing kept
  double prefill_s = 0;                                    ///< of the slowest rank
  double total_s = 0;
};

/// Runs the request. Collective.
/// \param on_layer called on rank 0 after each prefill layer with the number of layers done
template <class Scalar>
[[nodiscard]] Evaluation<Scalar> evaluate(const EvaluationRequest& request,
                                          const ModelWeights<Scalar>& weights,
                                          const RankEnvironment& environment,
                                          const std::function<void(Index)>& on_layer);

/// Mean of -log p of the expected tokens, nats a token.
[[nodiscard]] double mean_nll(const Matrix<double>& log_probabilities,
                              const std::vector<int>& expected);

/// KL(truth || other) in nats of one row each, [1, vocab_size] log probabilities.
[[nodiscard]] double kl_divergence(const Eigen::Ref<const Matrix<double>>& truth,
                                   const Eigen::Ref<const Matrix<double>>& other);

/// Sum over layers.
[[nodiscard]] Counters total(const std::vector<Counters>& layers);

}  // namespace apb
