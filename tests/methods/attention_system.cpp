#include "tests/methods/attention_system.hpp"

#include <cmath>
#include <numeric>

#include "reference/attention/visibility.hpp"
#include "tests/attention/naive_attention.hpp"
#include "tests/support/local_ranks.hpp"

namespace apb {
namespace {

/// Document token i has id i, embedded query token j has id doc_len + j: rows of TokenTensors.
std::vector<int> ids_from(Index first, Index count) {
  std::vector<int> ids(static_cast<std::size_t>(count));
  std::iota(ids.begin(), ids.end(), static_cast<int>(first));
  return ids;
}

template <class Scalar>
TokenTensors<Scalar> gather_rows(const ApbConfig& config, const RankLayout& layout,
                                 const TokenTensors<Scalar>& tokens) {
  const std::vector<int> document = ids_from(0, config.doc_len);
  const std::vector<int> query = ids_from(config.doc_len, config.embedded_query_len);
  TokenTensors<Scalar> rows{{0, config.num_q_heads, config.head_dim},
                            {0, config.num_kv_heads, config.head_dim},
                            {0, config.num_kv_heads, config.head_dim}};
  for (Index row = 0; row < layout.rows(); ++row) {
    const Index token = layout.token(row, document, query);
    rows.query.append(tokens.query.view().slice(token, 1));
    rows.key.append(tokens.key.view().slice(token, 1));
    rows.value.append(tokens.value.view().slice(token, 1));
  }
  return rows;
}

/// A key of a rank with the place it has there.
template <class Scalar>
struct PlacedKey {
  Segment segment;
  Index row;
  NaiveKey<Scalar> key;
};

/// All keys of a rank for one KV head, in key order: anchor, passing, block.
template <class Scalar>
std::vector<PlacedKey<Scalar>> keys_of(const std::vector<RankRun<Scalar>>& runs, int rank,
                                       Index kv_head) {
  std::vector<PlacedKey<Scalar>> keys;
  const auto add = [&](Segment segment, Index row, const RankRun<Scalar>& from, Index from_row) {
    keys.push_back({segment,
                    row,
                    {from.rows.key.view().at(from_row, kv_head),
                     from.rows.value.view().at(from_row, kv_head)}});
  };
  const RankRun<Scalar>& own = runs[static_cast<std::size_t>(rank)];
  for (Index row = 0; row < own.layout.anchor_rows; ++row) add(Segment::kAnchor, row, own, row);
  Index passing_row = 0;
  for (int lower = 0; lower < rank; ++lower) {
    const RankRun<Scalar>& from = runs[static_cast<std::size_t>(lower)];
    if (from.output.selection.kept_positions.empty()) continue;
    for (const Index doc_pos :
         from.output.selection.kept_positions[static_cast<std::size_t>(kv_head)]) {
      const Index from_row = from.layout.anchor_rows + doc_pos - from.layout.block_begin;
      add(Segment::kPassing, passing_row++, from, from_row);
    }
  }
  for (Index row = 0; row < own.layout.block_len; ++row) {
    add(Segment::kBlock, row, own, own.layout.anchor_rows + row);
  }
  return keys;
}

}  // namespace

ApbConfig small_config(Index doc_len, int num_ranks) {
  ApbConfig config;
  config.doc_len = doc_len;
  config.num_ranks = num_ranks;
  config.num_q_heads = 6;
  config.num_kv_heads = 2;
  config.head_dim = 8;
  config.softmax_scale = 1.0 / std::sqrt(8.0);
  return config;
}

ApbConfig random_config(RandomTensors& random) {
  const Index doc_len = random.below(70);
  ApbConfig config = small_config(doc_len, static_cast<int>(1 + random.below(6)));
  if (random.below(2) == 0) config.block_lens = random.split(doc_len, config.num_ranks);
  config.anchor_len = random.below(config.resolved_block_lens().front() + 1);
  config.query_len = config.embedded_query_len = random.below(4);
  if (random.below(2) == 0 && config.embedded_query_len <= config.anchor_len) {
    config.anchor_convention = AnchorConvention::kOfficial;
    config.query_insert_at = random.below(config.anchor_len - config.embedded_query_len + 1);
  }
  const std::vector<Compressor> compressors{Compressor::kRandom, Compressor::kRecent,
                                            Compressor::kQueryAware};
  const Index choices = config.embedded_query_len > 0 ? 3 : 2;
  config.compressor = compressors[static_cast<std::size_t>(random.below(choices))];
  config.num_kept = random.below(12);
  config.pool_kernel = 1 + 2 * random.below(4);
  config.seed = static_cast<std::uint64_t>(random.below(1000));
  return config;
}

template <class Scalar>
TokenTensors<Scalar> random_tokens(const ApbConfig& config, RandomTensors& random) {
  const Index rows = config.doc_len + config.embedded_query_len;
  return {random.heads<Scalar>(rows, config.num_q_heads, config.head_dim),
          random.heads<Scalar>(rows, config.num_kv_heads, config.head_dim),
          random.heads<Scalar>(rows, config.num_kv_heads, config.head_dim)};
}

template <class Scalar>
std::vector<RankRun<Scalar>> run_layer(Method method, const ApbConfig& config,
                                       const TokenTensors<Scalar>& tokens) {
  const ApbConfig adapted = method_config(method, config);
  const BlockLayout layout = method_layout(method, adapted);
  return on_local_ranks(adapted.num_ranks, [&](Communicator& communicator) {
    const RankContext context{adapted, layout, communicator};
    RankRun<Scalar> run;
    run.layout = context.rank_layout();
    run.rows = gather_rows(adapted, run.layout, tokens);
    run.output = prefill_attention<Scalar>(
        method, context, {0, run.rows.query.view(), run.rows.key.view(), run.rows.value.view()},
        run.counters);
    run.counters.bytes_received = communicator.bytes_received();
    run.counters.bytes_sent = communicator.bytes_sent();
    return run;
  });
}

template <class Scalar>
ExpectedRank expected_rank(const ApbConfig& config, const std::vector<RankRun<Scalar>>& runs,
                           int rank) {
  const RankRun<Scalar>& own = runs[static_cast<std::size_t>(rank)];
  ExpectedRank expected;
  expected.attention = {own.layout.rows(), config.num_q_heads, config.head_dim};
  for (Index head = 0; head < config.num_q_heads; ++head) {
    const auto keys = keys_of(runs, rank, head / config.group_size());
    for (Index row = 0; row < own.layout.rows(); ++row) {
      const bool in_anchor = row < own.layout.anchor_rows;
      const Segment segment = in_anchor ? Segment::kAnchor : Segment::kBlock;
      const Index segment_row = in_anchor ? row : row - own.layout.anchor_rows;
      std::vector<NaiveKey<Scalar>> visible;
      for (const auto& [key_segment, key_row, key] : keys) {
        if (is_visible(segment, segment_row, key_segment, key_row)) visible.push_back(key);
      }
      if (head == 0) expected.visible_pairs += std::ssize(visible);
      expected.attention.lse(row, head) = naive_attend_row(
          own.rows.query.view().at(row, head), visible, config.head_dim, config.softmax_scale,
          {expected.attention.out.view().at(row, head), static_cast<std::size_t>(config.head_dim)});
    }
  }
  return expected;
}

template <class Scalar>
AttentionPartial<Scalar> rows_of(const AttentionPartial<Scalar>& partial, Index begin,
                                 Index count) {
  AttentionPartial<Scalar> rows(0, partial.out.heads(), partial.out.head_dim());
  rows.out.append(partial.out.view().slice(begin, count));
  rows.lse = partial.lse.middleRows(begin, count);
  return rows;
}

template <class Scalar>
AttentionPartial<Scalar> document_attention(const std::vector<RankRun<Scalar>>& runs) {
  const AttentionPartial<Scalar>& first = runs.front().output.attention;
  Index doc_len = 0;
  for (const RankRun<Scalar>& run : runs) doc_len += run.layout.cached_rows();
  AttentionPartial<Scalar> document(doc_len, first.out.heads(), first.out.head_dim());
  for (const RankRun<Scalar>& run : runs) {
    const AttentionPartial<Scalar>& own = run.output.attention;
    for (const auto& [begin, count] : run.layout.cached) {
      for (Index row = begin; row < begin + count; ++row) {
        const Index doc_pos = run.layout.doc_pos(row);
        std::copy_n(own.out.view().at(row, 0), own.out.heads() * own.out.head_dim(),
                    document.out.view().at(doc_pos, 0));
        if (own.lse.size() > 0) document.lse.row(doc_pos) = own.lse.row(row);
      }
    }
  }
  return document;
}

template TokenTensors<float> random_tokens(const ApbConfig&, RandomTensors&);
template TokenTensors<double> random_tokens(const ApbConfig&, RandomTensors&);
template std::vector<RankRun<float>> run_layer(Method, const ApbConfig&,
                                               const TokenTensors<float>&);
template std::vector<RankRun<double>> run_layer(Method, const ApbConfig&,
                                                const TokenTensors<double>&);
template ExpectedRank expected_rank(const ApbConfig&, const std::vector<RankRun<float>>&, int);
template ExpectedRank expected_rank(const ApbConfig&, const std::vector<RankRun<double>>&, int);
template AttentionPartial<float> rows_of(const AttentionPartial<float>&, Index, Index);
template AttentionPartial<double> rows_of(const AttentionPartial<double>&, Index, Index);
template AttentionPartial<float> document_attention(const std::vector<RankRun<float>>&);
template AttentionPartial<double> document_attention(const std::vector<RankRun<double>>&);

}  // namespace apb
