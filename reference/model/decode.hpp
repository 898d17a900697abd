#pragma once
/// \file
/// Query pass and greedy decode over the distributed cache (Star Attention's phase 2, APB's
/// algorithm 3): every rank runs the same rows with the same weights, attends to its own cache, and
/// all partial results are gathered and merged in every layer. Only one rank appends.
///
/// `method` and `context` are those of the prefill that filled the cache.

#include <vector>

#include "reference/core/communicator.hpp"
#include "reference/core/matrix.hpp"
#include "reference/model/prefill.hpp"

namespace apb {

/// Runs rows that follow the document (and what was decoded before) through all layers. Collective;
/// all ranks get the same result. On the appending rank the rows' keys are appended to the cache.
/// \param cache          this rank's
/// \param tokens         ids of the rows, at least one
/// \param first_position position of the first row
/// \returns hidden states after the last layer, [rows, hidden_size]
template <class Scalar>
[[nodiscard]] Matrix<Scalar> query_pass(Method method, const RankContext& context,
                                        const ModelWeights<Scalar>& weights, KvCache<Scalar>& cache,
                                        const std::vector<int>& tokens, Index first_position);

/// Query pass (unless the prefill did it), then one token at a time, the most probable one (the
/// lowest id among equals). Stops after max_tokens or before the model's end-of-sequence token.
/// Collective.
/// \param prefilled of this rank; its cache grows
/// \returns the answer's token ids, the same on all ranks
/// \throws std::invalid_argument if the query is empty, or not as long as the one that was fused
template <class Scalar>
[[nodiscard]] std::vector<int> greedy_decode(Method method, const RankContext& context,
                                             const ModelWeights<Scalar>& weights,
                                             PrefillResult<Scalar>& prefilled,
                                             const std::vector<int>& query, Index max_tokens);

/// Natural-log probabilities of every token after each row, in double, [rows, vocab_size].
/// \param hidden [rows, hidden_size] after the last layer
template <class Scalar>
[[nodiscard]] Matrix<double> log_probabilities(const ModelWeights<Scalar>& weights,
                                               const Matrix<Scalar>& hidden);

/// Log probabilities of the answer's tokens given query and answer (teacher-forced), one row a
/// token. The cache is left as it was. Collective; all ranks get the same result.
/// \throws std::invalid_argument if query or answer is empty, or the query not as long as the one
/// that was fused
template <class Scalar>
[[nodiscard]] Matrix<double> teacher_forced(Method method, const RankContext& context,
                                            const ModelWeights<Scalar>& weights,
                                            PrefillResult<Scalar>& prefilled,
                                            const std::vector<int>& query,
                                            const std::vector<int>& answer);

/// nll (nats) of document tokens given all before them, by their prefill. Collective.
/// \param positions doc_pos of the tokens, ascending, in 1 … doc_len-1 (doc_pos 0 has no
/// prediction)
/// \param hidden    of this rank's cached rows after the last layer (PrefillResult::hidden)
/// \returns on every rank, one value per position
template <class Scalar>
[[nodiscard]] std::vector<double> document_nll(const ModelWeights<Scalar>& weights,
                                               const RankContext& context,
                                               const Matrix<Scalar>& hidden,
                                               const std::vector<int>& document,
                                               const std::vector<Index>& positions);

}  // namespace apb
