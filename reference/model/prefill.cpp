#include "reference/model/prefill.hpp"

#include <stdexcept>

#include "reference/attention/block_scores.hpp"
#include "reference/model/transformer.hpp"

namespace apb {
namespace {

template <class Scalar>
Matrix<Scalar> cached_rows(const RankLayout& layout, const Matrix<Scalar>& rows) {
  Matrix<Scalar> cached(layout.cached_rows(), rows.cols());
  Index begin = 0;
  for (const RowRange& range : layout.cached) {
    cached.middleRows(begin, range.count) = rows.middleRows(range.first, range.count);
    begin += range.count;
  }
  return cached;
}

}  // namespace

template <class Scalar>
HeadsTensor<Scalar> cached_rows(const RankLayout& layout, const HeadsTensor<Scalar>& rows) {
  HeadsTensor<Scalar> cached(0, rows.heads(), rows.head_dim());
  for (const RowRange& range : layout.cached) {
    cached.append(rows.view().slice(range.first, range.count));
  }
  return cached;
}

template <class Scalar>
void KvCache<Scalar>::truncate(Index rows) {
  for (LayerCache<Scalar>& layer : layers) {
    layer.key.resize_rows(rows);
    layer.value.resize_rows(rows);
  }
}

template <class Scalar>
PrefillResult<Scalar> prefill(Method method, const RankContext& context,
                              const ModelWeights<Scalar>& weights, const std::vector<int>& document,
                              const std::vector<int>& query,
                              const std::function<void(Index)>& on_layer) {
  const RankLayout& layout = context.rank_layout();
  std::vector<int> tokens;
  std::vector<Index> positions;
  for (Index row = 0; row < layout.rows(); ++row) {
    tokens.push_back(layout.token(row, document, query));
    positions.push_back(layout.position(row));
  }
  const RopeTable<Scalar> rope = rope_table<Scalar>(positions, weights.shape);
  const bool retaining = scores_with_heads(context.config);
  if (retaining && std::ssize(weights.retaining_heads) != weights.shape.num_layers) {
    throw std::invalid_argument("prefill: retaining_head needs one head per layer");
  }

  PrefillResult<Scalar> result;
  Matrix<Scalar> hidden = embed(weights, tokens);
  for (Index layer = 0; layer < weights.shape.num_layers; ++layer) {
    Counters counters{.rows_computed = layout.rows()};
    const std::int64_t received_before = context.communicator.bytes_received();
    const std::int64_t sent_before = context.communicator.bytes_sent();

    const Qkv<Scalar> qkv =
        project_qkv(weights, layer, hidden, rope, counters, retaining ? layout.block_len : 0);
    LayerInput<Scalar> input{layer, qkv.query.view(), qkv.key.view(), qkv.value.view()};
    if (retaining) {
      input.retaining = {&weights.retaining_heads[static_cast<std::size_t>(layer)], &qkv.features};
    }
    LayerOutput<Scalar> output = prefill_attention<Scalar>(method, context, input, counters);
    finish_layer(weights, layer, output.attention.out, hidden, counters);

    result.cache.layers.push_back({cached_rows(layout, qkv.key), cached_rows(layout, qkv.value)});

    counters.bytes_received = context.communicator.bytes_received() - received_before;
    counters.bytes_sent = context.communicator.bytes_sent() - sent_before;
    result.counters.push_back(counters);
    result.selections.push_back(std::move(output.selection));
    on_layer(layer + 1);
  }
  result.hidden = cached_rows(layout, hidden);
  result.query_hidden = hidden.bottomRows(layout.query_rows);
  return result;
}

template HeadsTensor<float> cached_rows(const RankLayout&, const HeadsTensor<float>&);
template HeadsTensor<double> cached_rows(const RankLayout&, const HeadsTensor<double>&);
template struct KvCache<float>;
template struct KvCache<double>;
template PrefillResult<float> prefill(Method, const RankContext&, const ModelWeights<float>&,
                                      const std::vector<int>&, const std::vector<int>&,
                                      const std::function<void(Index)>&);
template PrefillResult<double> prefill(Method, const RankContext&, const ModelWeights<double>&,
                                       const std::vector<int>&, const std::vector<int>&,
                                       const std::function<void(Index)>&);

}  // namespace apb
