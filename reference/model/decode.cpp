#include "reference/model/decode.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <stdexcept>

#include "reference/attention/merge.hpp"
#include "reference/model/transformer.hpp"

namespace apb {
namespace {

/// Rows of logits held at a time: [kLogitRows, vocab_size].
constexpr Index kLogitRows = 64;

/// Gathers every rank's partial (out and lse in the precision they have) and merges them in rank
/// order, so that all ranks hold the same bits.
template <class Scalar>
AttentionPartial<Scalar> merge_over_ranks(const AttentionPartial<Scalar>& mine,
                                          Communicator& communicator) {
  if (communicator.num_ranks() == 1) return mine;
  std::vector<Scalar> message = mine.out.values();
  message.insert(message.end(), mine.lse.data(), mine.lse.data() + mine.lse.size());
  const std::vector<std::size_t> counts(static_cast<std::size_t>(communicator.num_ranks()),
                                        message.size());
  const std::vector<Scalar> all = communicator.all_gather<Scalar>(message, counts);

  std::vector<AttentionPartial<Scalar>> parts;
  for (auto part = all.begin(); part != all.end();) {
    auto& [out, lse] = parts.emplace_back(mine.out.rows(), mine.out.heads(), mine.out.head_dim());
    std::copy_n(part, out.values().size(), out.values().begin());
    part += std::ssize(out.values());
    std::copy_n(part, lse.size(), lse.data());
    part += lse.size();
  }
  return merge_partials<Scalar>(parts);
}

int most_probable(const Eigen::Ref<const Matrix<double>>& row) {
  Index best = 0;
  row.row(0).maxCoeff(&best);
  return static_cast<int>(best);
}

}  // namespace

template <class Scalar>
Matrix<Scalar> query_pass(const LlamaWeights<Scalar>& weights, KvCache<Scalar>& cache,
                          const std::vector<int>& tokens, Index first_position,
                          Communicator& communicator) {
  const bool appends = communicator.rank() == communicator.num_ranks() - 1;
  const double scale = 1.0 / std::sqrt(static_cast<double>(weights.config.head_dim));
  std::vector<Index> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), first_position);
  const RopeTable<Scalar> rope(positions, weights.config.head_dim, weights.config.rope_theta,
                               weights.config.rope_scaling);

  Counters not_reported;
  Matrix<Scalar> hidden = embed(weights, tokens);
  for (Index layer = 0; layer < weights.config.num_layers; ++layer) {
    const Qkv<Scalar> qkv = project_qkv(weights, layer, hidden, rope, not_reported);
    LayerCache<Scalar>& layer_cache = cache.layers[static_cast<std::size_t>(layer)];

    std::vector<KeySegment<Scalar>> keys{
        {layer_cache.key.view(), layer_cache.value.view(), Visibility::kAll}};
    if (appends) keys.push_back({qkv.key.view(), qkv.value.view(), Visibility::kCausal});
    const AttentionPartial<Scalar> mine =
        attend<Scalar>(qkv.query.view(), keys, scale, not_reported);
    if (appends) {
      layer_cache.key.append(qkv.key.view());
      layer_cache.value.append(qkv.value.view());
    }
    finish_layer(weights, layer, merge_over_ranks(mine, communicator).out, hidden, not_reported);
  }
  return hidden;
}

template <class Scalar>
Matrix<double> log_probabilities(const LlamaWeights<Scalar>& weights,
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
std::vector<int> greedy_decode(const LlamaWeights<Scalar>& weights, KvCache<Scalar>& cache,
                               const std::vector<int>& query, Index doc_len, Index max_tokens,
                               Communicator& communicator) {
  if (query.empty()) throw std::invalid_argument("greedy_decode: the query needs a token");
  const int last_rank = communicator.num_ranks() - 1;
  std::vector<int> answer;
  std::vector<int> rows = query;
  Index position = doc_len;
  while (std::ssize(answer) < max_tokens) {
    const Matrix<Scalar> hidden = query_pass(weights, cache, rows, position, communicator);
    position += std::ssize(rows);
    int next = 0;
    if (communicator.rank() == last_rank) {
      next = most_probable(log_probabilities<Scalar>(weights, hidden.bottomRows(1)));
    }
    communicator.broadcast<int>(last_rank, {&next, 1});
    if (next == weights.config.eos_token_id) break;
    answer.push_back(next);
    rows = {next};
  }
  return answer;
}

template <class Scalar>
Matrix<double> teacher_forced(const LlamaWeights<Scalar>& weights, KvCache<Scalar>& cache,
                              const std::vector<int>& query, const std::vector<int>& answer,
                              Index doc_len, Communicator& communicator) {
  if (query.empty() || answer.empty()) {
    throw std::invalid_argument("teacher_forced: query and answer need tokens");
  }
  const Index cached_rows = cache.layers.front().key.rows();
  std::vector<int> rows = query;
  rows.insert(rows.end(), answer.begin(), answer.end() - 1);
  const Matrix<Scalar> hidden = query_pass(weights, cache, rows, doc_len, communicator);
  cache.truncate(cached_rows);
  return log_probabilities<Scalar>(weights, hidden.bottomRows(std::ssize(answer)));
}

template <class Scalar>
std::vector<double> document_nll(const LlamaWeights<Scalar>& weights, const RankContext& context,
                                 const Matrix<Scalar>& block_hidden,
                                 const std::vector<int>& document,
                                 const std::vector<Index>& positions) {
  // The row that predicts a token is the one before it, which may belong to a lower rank.
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
    own_rows.push_back(doc_pos - 1 - layout.block_begin);
    own_targets.push_back(document[static_cast<std::size_t>(doc_pos)]);
  }

  std::vector<double> own_nll;
  const Index own_count = std::ssize(own_rows);
  for (Index begin = 0; begin < own_count; begin += kLogitRows) {
    const Index count = std::min(kLogitRows, own_count - begin);
    Matrix<Scalar> rows(count, block_hidden.cols());
    for (Index i = 0; i < count; ++i) {
      rows.row(i) = block_hidden.row(own_rows[static_cast<std::size_t>(begin + i)]);
    }
    const Matrix<double> log_p = log_probabilities(weights, rows);
    for (Index i = 0; i < count; ++i) {
      own_nll.push_back(-log_p(i, own_targets[static_cast<std::size_t>(begin + i)]));
    }
  }
  // Positions ascend, so ranks ascend with them.
  return context.communicator.all_gather<double>(own_nll, counts);
}

template Matrix<float> query_pass(const LlamaWeights<float>&, KvCache<float>&,
                                  const std::vector<int>&, Index, Communicator&);
template Matrix<double> log_probabilities(const LlamaWeights<float>&, const Matrix<float>&);
template std::vector<int> greedy_decode(const LlamaWeights<float>&, KvCache<float>&,
                                        const std::vector<int>&, Index, Index, Communicator&);
template Matrix<double> teacher_forced(const LlamaWeights<float>&, KvCache<float>&,
                                       const std::vector<int>&, const std::vector<int>&, Index,
                                       Communicator&);
template std::vector<double> document_nll(const LlamaWeights<float>&, const RankContext&,
                                          const Matrix<float>&, const std::vector<int>&,
                                          const std::vector<Index>&);
template Matrix<double> query_pass(const LlamaWeights<double>&, KvCache<double>&,
                                   const std::vector<int>&, Index, Communicator&);
template Matrix<double> log_probabilities(const LlamaWeights<double>&, const Matrix<double>&);
template std::vector<int> greedy_decode(const LlamaWeights<double>&, KvCache<double>&,
                                        const std::vector<int>&, Index, Index, Communicator&);
template Matrix<double> teacher_forced(const LlamaWeights<double>&, KvCache<double>&,
                                       const std::vector<int>&, const std::vector<int>&, Index,
                                       Communicator&);
template std::vector<double> document_nll(const LlamaWeights<double>&, const RankContext&,
                                          const Matrix<double>&, const std::vector<int>&,
                                          const std::vector<Index>&);

}  // namespace apb
