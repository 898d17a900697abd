#pragma once
/// \file
/// The trace of a run: what every rank kept in every layer, what was counted, nll per token.

#include <string>

#include "reference/model/evaluate.hpp"

namespace apb {

/// Writes an HDF5 trace. Root attributes: schema "apb-trace", version 1, method, and the
/// configuration's lengths and names. Datasets:
///   /tokens            int64 [doc_len]
///   /nll               float64 [doc_len], NaN where not measured; only if it was asked for
///   /counters/<name>   int64 [num_ranks, num_layers], one per field of Counters
///   /layer_<l>/rank_<r>/importance      [block_rows, num_kv_heads]   if the method keeps entries
///   /layer_<l>/rank_<r>/kept_positions  int64 [num_kv_heads, kept]   doc_pos, ascending
/// \throws BadInput or CannotRun if the file cannot be written
template <class Scalar>
void write_trace(const std::string& path, const EvaluationRequest& request,
                 const Evaluation<Scalar>& evaluation);

}  // namespace apb
