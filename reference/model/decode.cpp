#include "reference/model/decode.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "reference/model/transformer.hpp"

namespace apb {
namespace {

/// Rows of logits held at a time: [kLogitRows, vocab_size].
constexpr Index kLogitRows = 64;

int most_probable(const Eigen::Ref<const Matrix<double>>& row) {
  Index best = 0;
  row.row(0).maxCoeff(&best);
  return static_cast<int>(best);
}

/// Values that owners gave, each in the order of its own positions, in the order of all positions.
std::vector<double> in_order_of(const std::vector<Index>& positions, const BlockLayout& layout,
                                const std::vector<double>& by_rank,
                                const std::vector<std::size_t>& counts) {
  std::vector<std::size_t> next(counts.size(), 0);
  std::exclusive_scan(counts.begin(), counts.end(), next.begin(), std::size_t{0});
  std::vector<double> values;
  for (const Index doc_pos : positions) {
    const auto owner = static_cast<std::size_t>(layout.owner(doc_pos - 1));
    values.push_back(by_rank[next[owner]++]);
  }
  return values;
}

/// Whether the prefill has run the query already.
template <class Scalar>
bool has_fused_query(const PrefillResult<Scalar>& prefilled, const std::vector<int>& query) {
  const Index fused_rows = prefilled.query_hidden.rows();
  if (query.empty()) throw std::invalid_argument("decode: the query needs a token");
  if (fused_rows > 0 && fused_rows != std::ssize(query)) {
    throw std::invalid_argument("decode: another query was fused into the prefill");
  }
  return fused_rows > 0;
}

}  // namespace

template <class Scalar>
Matrix<Scalar> query_pass(Method method, const RankContext& context,
                          const ModelWeights<Scalar>& weights, KvCache<Scalar>& cache,
                          const std::vector<int>& tokens, Index first_position) {
  std::vector<Index> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), first_position);
  const RopeTable<Scalar> rope = rope_table<Scalar>(positions, weights.shape);

  Counters not_reported;
  Matrix<Scalar> hidden = embed(weights, tokens);
  for (Index layer = 0; layer < weights.shape.num_layers; ++layer) {
    const Qkv<Scalar> qkv = project_qkv(weights, layer, hidden, rope, not_reported);
    LayerCache<Scalar>& layer_cache = cache.layers[static_cast<std::size_t>(layer)];
    const auto attention =
        query_attention<Scalar>(method, context,
                                {qkv.query.view(), qkv.key.view(), qkv.value.view(),
                                 layer_cache.key.view(), layer_cache.value.view()},
                                not_reported);
    if (context.communicator.rank() == context.layout.appending_rank) {
      layer_cache.key.append(qkv.key.view());
      layer_cache.value.append(qkv.value.view());
    }
    finish_layer(weights, layer, attention.out, hidden, not_reported);
  }
  return hidden;
}

template <class Scalar>
Matrix<double> log_probabilities(const ModelWeights<Scalar>& weights,
                                 const Matrix<Scalar>& hidden) {
  Matrix<double> result = logits(weights, hidden).template cast<double>();
  for (Index row = 0; row < result.rows(); ++row) {
    auto values = result.row(row).array();
    const double max = values.maxCoeff();
    values -= max + std::log((values - max).exp().sum());
  }
  return result;
}

template <class Scalar>
std::vector<int> greedy_decode(Method method, const RankContext& context,
                               const ModelWeights<Scalar>& weights,
                               PrefillResult<Scalar>& prefilled, const std::vector<int>& query,
                               Index max_tokens) {
  const bool fused = has_fused_query(prefilled, query);
  const int appending_rank = context.layout.appending_rank;
  Index position = context.layout.query_position + std::ssize(query);
  std::vector<int> answer;
  if (max_tokens == 0) return answer;
  Matrix<Scalar> hidden = fused ? prefilled.query_hidden
                                : query_pass(method, context, weights, prefilled.cache, query,
                                             context.layout.query_position);
  while (true) {
    int next = 0;
    if (context.communicator.rank() == appending_rank) {
      next = most_probable(log_probabilities<Scalar>(weights, hidden.bottomRows(1)));
    }
    context.communicator.broadcast<int>(appending_rank, {&next, 1});
    if (std::ranges::count(weights.shape.eos_token_ids, next) > 0) break;
    answer.push_back(next);
    if (std::ssize(answer) == max_tokens) break;
    hidden = query_pass(method, context, weights, prefilled.cache, {next}, position);
    ++position;
  }
  return answer;
}

template <class Scalar>
Matrix<double> teacher_forced(Method method, const RankContext& context,
                              const ModelWeights<Scalar>& weights, PrefillResult<Scalar>& prefilled,
                              const std::vector<int>& query, const std::vector<int>& answer) {
  const bool fused = has_fused_query(prefilled, query);
  if (answer.empty()) throw std::invalid_argument("teacher_forced: the answer needs a token");
  std::vector<int> rows = fused ? std::vector<int>{} : query;
  rows.insert(rows.end(), answer.begin(), answer.end() - 1);
  const Index fused_rows = prefilled.query_hidden.rows();
  Matrix<Scalar> hidden = prefilled.query_hidden;
  if (!rows.empty()) {
    const Index cached_rows = prefilled.cache.layers.front().key.rows();
    const Matrix<Scalar> more = query_pass(method, context, weights, prefilled.cache, rows,
                                           context.layout.query_position + fused_rows);
    prefilled.cache.truncate(cached_rows);
    hidden.conservativeResize(fused_rows + more.rows(), more.cols());
    hidden.bottomRows(more.rows()) = more;
  }
  return log_probabilities<Scalar>(weights, hidden.bottomRows(std::ssize(answer)));
}

template <class Scalar>
std::vector<double> document_nll(const ModelWeights<Scalar>& weights, const RankContext& context,
                                 const Matrix<Scalar>& hidden, const std::vector<int>& document,
                                 const std::vector<Index>& positions) {
  // The row that predicts a token is the one before it, which may belong to another rank.
  std::vector<std::size_t> counts(static_cast<std::size_t>(context.layout.num_ranks()));
  std::vector<Index> own_rows;
  std::vector<int> own_targets;
  const RankLayout& layout = context.rank_layout();
  for (const Index doc_pos : positions) {
    if (doc_pos >= std::ssize(document)) {
      throw std::invalid_argument("document_nll: no such document token");
    }
    const int owner = context.layout.owner(doc_pos - 1);
    ++counts[static_cast<std::size_t>(owner)];
    if (owner != context.communicator.rank()) continue;
    own_rows.push_back(layout.cached_row(doc_pos - 1).value());
    own_targets.push_back(document[static_cast<std::size_t>(doc_pos)]);
  }

  std::vector<double> own_nll;
  const Index own_count = std::ssize(own_rows);
  for (Index begin = 0; begin < own_count; begin += kLogitRows) {
    const Index count = std::min(kLogitRows, own_count - begin);
    Matrix<Scalar> rows(count, hidden.cols());
    for (Index i = 0; i < count; ++i) {
      rows.row(i) = hidden.row(own_rows[static_cast<std::size_t>(begin + i)]);
    }
    const Matrix<double> log_p = log_probabilities(weights, rows);
    for (Index i = 0; i < count; ++i) {
      own_nll.push_back(-log_p(i, own_targets[static_cast<std::size_t>(begin + i)]));
    }
  }
  return in_order_of(positions, context.layout,
                     context.communicator.all_gather<double>(own_nll, counts), counts);
}

template Matrix<float> query_pass(Method, const RankContext&, const ModelWeights<float>&,
                                  KvCache<float>&, const std::vector<int>&, Index);
template Matrix<double> log_probabilities(const ModelWeights<float>&, const Matrix<float>&);
template std::vector<int> greedy_decode(Method, const RankContext&, const ModelWeights<float>&,
                                        PrefillResult<float>&, const std::vector<int>&, Index);
template Matrix<double> teacher_forced(Method, const RankContext&, const ModelWeights<float>&,
                                       PrefillResult<float>&, const std::vector<int>&,
                                       const std::vector<int>&);
template std::vector<double> document_nll(const ModelWeights<float>&, const RankContext&,
                                          const Matrix<float>&, const std::vector<int>&,
                                          const std::vector<Index>&);
template Matrix<double> query_pass(Method, const RankContext&, const ModelWeights<double>&,
                                   KvCache<double>&, const std::vector<int>&, Index);
template Matrix<double> log_probabilities(const ModelWeights<double>&, const Matrix<double>&);
template std::vector<int> greedy_decode(Method, const RankContext&, const ModelWeights<double>&,
                                        PrefillResult<double>&, const std::vector<int>&, Index);
template Matrix<double> teacher_forced(Method, const RankContext&, const ModelWeights<double>&,
                                       PrefillResult<double>&, const std::vector<int>&,
                                       const std::vector<int>&);
template std::vector<double> document_nll(const ModelWeights<double>&, const RankContext&,
                                          const Matrix<double>&, const std::vector<int>&,
                                          const std::vector<Index>&);

}  // namespace apb
