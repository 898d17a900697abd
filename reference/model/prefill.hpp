#pragma once
/// \file
/// Prefill of a document by any method: every rank pushes its rows through all layers; the method's
/// attention is the only place where ranks meet.

#include <functional>
#include <vector>

#include "reference/core/matrix.hpp"
#include "reference/core/weights/model_weights.hpp"
#include "reference/methods/method.hpp"

namespace apb {

/// Of a rank's rows of keys or values, those that its layout caches.
/// \param rows [rows, heads, head_dim]
/// \returns [cached rows, heads, head_dim]
template <class Scalar>
[[nodiscard]] HeadsTensor<Scalar> cached_rows(const RankLayout& layout,
                                              const HeadsTensor<Scalar>& rows);

/// Keys (after RoPE) and values that one rank holds in one layer.
template <class Scalar>
struct LayerCache {
  HeadsTensor<Scalar> key;    ///< [cached rows, num_kv_heads, head_dim]
  HeadsTensor<Scalar> value;  ///< [cached rows, num_kv_heads, head_dim]
};

/// One rank's cache: the rows that its layout caches, anchor copies dropped, so that over all ranks
/// every document token counts exactly once.
template <class Scalar>
struct KvCache {
  std::vector<LayerCache<Scalar>> layers;

  /// Drops all rows after the first `rows`.
  void truncate(Index rows);
};

/// What prefill leaves on one rank.
template <class Scalar>
struct PrefillResult {
  KvCache<Scalar> cache;
  Matrix<Scalar> hidden;           ///< [cached rows, hidden_size] after the last layer
  Matrix<Scalar> query_hidden;     ///< [query_rows, hidden_size]: of a query fused into the prefill
  std::vector<Counters> counters;  ///< per layer
  std::vector<Selection<Scalar>> selections;  ///< per layer; empty if the method keeps nothing
};

/// Runs all layers. Collective.
/// \param context        its config comes from method_config and fits the model's heads
/// \param document       all doc_len token ids (a rank reads its own rows)
/// \param query          token ids that hold the embedded or fused query
/// \param on_layer       called after each layer with the number of layers done
template <class Scalar>
[[nodiscard]] PrefillResult<Scalar> prefill(Method method, const RankContext& context,
                                            const ModelWeights<Scalar>& weights,
                                            const std::vector<int>& document,
                                            const std::vector<int>& query,
                                            const std::function<void(Index)>& on_layer);

}  // namespace apb
