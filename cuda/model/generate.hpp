#pragma once
/// \file
/// Query pass and greedy decode over the distributed cache (APB's algorithm 3, Star Attention's
/// phase 2): every rank runs the same rows with the same weights, attends to its own cache, and all
/// partials, in fp32, are gathered and merged in every layer. Only one rank appends.

#include <vector>

#include "cuda/prefill.hpp"

namespace apb::cuda {

/// Runs rows that follow the document (and what was decoded before) through all layers. Collective;
/// all ranks get the same result. On the appending rank the rows' keys are appended to the cache.
/// \param tokens         ids of the rows, at least one
/// \param first_position position of the first row
/// \returns hidden states after the last layer, [rows, hidden_size]
/// \throws BadInput if the cache has no room for the rows
template <class T>
[[nodiscard]] DeviceBuffer<T> query_pass(GpuRank& rank, const DeviceModel<T>& model,
                                         DeviceCache<T>& cache, const std::vector<int>& tokens,
                                         Index first_position);

/// Query pass, then one token at a time, the most probable one (the lowest id among equals). Stops
/// after max_tokens or before the model's end-of-sequence token. Collective.
/// \returns the answer's token ids, the same on all ranks
template <class T>
[[nodiscard]] std::vector<int> greedy_decode(GpuRank& rank, const DeviceModel<T>& model,
                                             DeviceCache<T>& cache, const std::vector<int>& query,
                                             Index max_tokens);

/// Natural-log probabilities of every token after chosen rows, [chosen rows, vocab_size].
/// \param hidden [rows, hidden_size] after the last layer
template <class T>
[[nodiscard]] std::vector<double> log_probabilities(GpuRank& rank, const DeviceModel<T>& model,
                                                    const DeviceRows<const T>& hidden,
                                                    std::span<const Index> rows);

/// Log probabilities of the answer's tokens given query and answer (teacher-forced), [answer
/// tokens, vocab_size]. The cache is left as it was. Collective; all ranks get the same result.
template <class T>
[[nodiscard]] std::vector<double> teacher_forced(GpuRank& rank, const DeviceModel<T>& model,
                                                 DeviceCache<T>& cache,
                                                 const std::vector<int>& query,
                                                 const std::vector<int>& answer);

/// nll (nats) of document tokens given all before them, by their prefill. Collective.
/// \param positions doc_pos of the tokens, ascending, in 1 … doc_len-1
/// \returns on every rank, one value per position
template <class T>
[[nodiscard]] std::vector<double> document_nll(GpuRank& rank, const DeviceModel<T>& model,
                                               const DevicePrefill<T>& prefilled,
                                               const std::vector<int>& document,
                                               const std::vector<Index>& positions);

}  // namespace apb::cuda
