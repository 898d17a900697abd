#pragma once
/// \file
/// Query pass and greedy decode over the distributed cache (Star Attention's phase 2, APB's
/// algorithm 3): every rank runs the same rows with the same weights, attends to its own cache, and
/// all partial results are gathered and merged in every layer. Only the last rank appends.

#include <vector>

#include "reference/core/communicator.hpp"
#include "reference/model/prefill.hpp"

namespace apb {

/// Runs rows that follow the document (and what was decoded before) through all layers. Collective;
/// all ranks get the same result. On the last rank the rows' keys are appended to the cache; on the
/// others, which hold no query keys, every row sees every cached key.
/// \param cache          this rank's
/// \param tokens         ids of the rows, at least one
/// \param first_position position of the first row: doc_len plus the rows already appended
/// \returns hidden states after the last layer, [rows, hidden_size]
template <class Scalar>
[[nodiscard]] Matrix<Scalar> query_pass(const LlamaWeights<Scalar>& weights, KvCache<Scalar>& cache,
                                        const std::vector<int>& tokens, Index first_position,
                                        Communicator& communicator);

/// Query pass, then one token at a time, the most probable one (the lowest id among equals).
/// Stops after max_tokens or before the model's end-of-sequence token. Collective.
/// \returns the answer's token ids, the same on all ranks
/// \throws std::invalid_argument if the query is empty
template <class Scalar>
[[nodiscard]] std::vector<int> greedy_decode(const LlamaWeights<Scalar>& weights,
                                             KvCache<Scalar>& cache, const std::vector<int>& query,
                                             Index doc_len, Index max_tokens,
                                             Communicator& communicator);

/// Natural-log probabilities of every token after each row, in double, [rows, vocab_size].
/// \param hidden [rows, hidden_size] after the last layer
template <class Scalar>
[[nodiscard]] Matrix<double> log_probabilities(const LlamaWeights<Scalar>& weights,
                                               const Matrix<Scalar>& hidden);

/// Log probabilities of the answer's tokens given query and answer (teacher-forced), one row a
/// token. The cache is left as it was. Collective; all ranks get the same result.
template <class Scalar>
[[nodiscard]] Matrix<double> teacher_forced(const LlamaWeights<Scalar>& weights,
                                            KvCache<Scalar>& cache, const std::vector<int>& query,
                                            const std::vector<int>& answer, Index doc_len,
                                            Communicator& communicator);

/// nll (nats) of document tokens given all before them, by their prefill. Collective.
/// \param positions doc_pos of the tokens, ascending, in 1 … doc_len-1 (doc_pos 0 has no
/// prediction)
/// \returns on every rank, one value per position
template <class Scalar>
[[nodiscard]] std::vector<double> document_nll(const LlamaWeights<Scalar>& weights,
                                               const RankContext& context,
                                               const Matrix<Scalar>& block_hidden,
                                               const std::vector<int>& document,
                                               const std::vector<Index>& positions);

}  // namespace apb
