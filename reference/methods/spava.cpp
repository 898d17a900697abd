// Spava (arXiv 2601.21444): APB with 2 H virtual ranks in zigzag order, so that all ranks have the
// same passing length, a training-free selection, and the query fused into the prefill.
//
// Other than in the authors' code, scores are pooled inside each chunk, never over its borders,
// and the number of kept entries is not rounded to multiples of 128.
//
// Spava, one layer of prefill on one rank of H:
//
//   document           [ anchor A | chunks C_0 … C_(2H-1) ], chunk v is virtual rank v's block
//   rows of rank r     [ A | C_r | C_(2H-1-r) | query Q ]
//   rows of A see      A causally
//   rows of C_v see    A, P_v, C_v causally; P_v is what virtual ranks 0 … v-1 kept
//   rows of Q see      the whole document and Q causally: exact, merged over the ranks
//
// A rank's two passing blocks hold what r and 2H-1-r virtual ranks kept: 2H-1 together on every
// rank, so that all ranks have the same work. The steps below stand in the order in which the
// authors overlap them; here each exchange is waited for.

#include "reference/attention/block_scores.hpp"
#include "reference/attention/merge_over_ranks.hpp"
#include "reference/attention/partial_rows.hpp"
#include "reference/attention/passing.hpp"
#include "reference/methods/define_method.hpp"

namespace apb {
namespace {

/// Query, key and value of consecutive rows.
template <class Scalar>
struct Rows {
  HeadsView<const Scalar> query;
  HeadsView<const Scalar> key;
  HeadsView<const Scalar> value;
};

template <class Scalar>
Rows<Scalar> rows(const LayerInput<Scalar>& input, Index begin, Index count) {
  return {input.query.slice(begin, count), input.key.slice(begin, count),
          input.value.slice(begin, count)};
}

/// What a virtual rank keeps of its block.
template <class Scalar>
Selection<Scalar> select(const RankContext& context, const RankLayout& block, Index layer,
                         const HeadsView<const Scalar>& query, const HeadsView<const Scalar>& key,
                         Counters& counters) {
  const Matrix<Scalar> scores = context.config.compressor == Compressor::kQueryAware
                                    ? query_aware_scores(query, key, counters)
                                    : query_free_scores<Scalar>(context.config, block, layer);
  return select_block(scores, block, context.config.pool_kernel, counters);
}

/// The virtual block's rows over anchor, passing block and themselves.
template <class Scalar>
AttentionPartial<Scalar> attend_block(const Rows<Scalar>& block, const Rows<Scalar>& anchor,
                                      std::span<const PassingBlock<Scalar>> kept_before,
                                      double scale, Counters& counters) {
  const auto passing = concatenate(kept_before, block.key.heads, block.key.head_dim);
  const std::array<KeySegment<Scalar>, 3> keys{
      {{anchor.key, anchor.value, Visibility::kAll},
       {passing.key.view(), passing.value.view(), Visibility::kAll},
       {block.key, block.value, Visibility::kCausal}}};
  return attend<Scalar>(block.query, keys, scale, counters);
}

/// The query over the part of the document that this rank caches; one rank adds the query itself.
template <class Scalar>
AttentionPartial<Scalar> attend_query(const RankContext& context, const LayerInput<Scalar>& input,
                                      const Rows<Scalar>& query, Counters& counters) {
  const RankLayout& own = context.rank_layout();
  const int rank = context.communicator.rank();
  const RowRange anchor = spava_cached_anchor(context.config, rank);
  std::vector<KeySegment<Scalar>> keys;
  for (const RowRange& part : {anchor, RowRange{own.anchor_rows, own.block_len}}) {
    keys.push_back({input.key.slice(part.first, part.count),
                    input.value.slice(part.first, part.count), Visibility::kAll});
  }
  if (rank == kSpavaQueryRank) keys.push_back({query.key, query.value, Visibility::kCausal});
  return attend<Scalar>(query.query, keys, context.config.softmax_scale, counters);
}

/// What the late chunk of a rank receives: all early chunks' entries, then those of the late chunks
/// before its own, which belong to the ranks above.
template <class Scalar>
std::vector<PassingBlock<Scalar>> before_late(const std::vector<PassingBlock<Scalar>>& early,
                                              const std::vector<PassingBlock<Scalar>>& late,
                                              int rank) {
  std::vector<PassingBlock<Scalar>> before = early;
  const auto above = static_cast<std::ptrdiff_t>(late.size()) - 1 - rank;
  if (above > 0) before.insert(before.end(), late.rbegin(), late.rbegin() + above);
  return before;
}

/// Both chunks' selections as one rank's: its rows and kept positions one after the other.
template <class Scalar>
Selection<Scalar> join(Selection<Scalar> early, const Selection<Scalar>& late) {
  Matrix<Scalar> importance(early.importance.rows() + late.importance.rows(),
                            late.importance.cols());
  importance << early.importance, late.importance;
  early.importance = std::move(importance);
  for (std::size_t head = 0; head < late.kept_positions.size(); ++head) {
    auto& kept = early.kept_positions[head];
    kept.insert(kept.end(), late.kept_positions[head].begin(), late.kept_positions[head].end());
  }
  return early;
}

}  // namespace

/// One layer of Spava's prefill on one rank. Collective.
/// \returns attention of all rows; of the query, exact attention over the whole document
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kSpava> /*unused*/, const RankContext& context,
                                 const LayerInput<Scalar>& input, Counters& counters) {
  const ApbConfig& config = context.config;
  const double scale = config.softmax_scale;
  const int rank = context.communicator.rank();
  const std::vector<RankLayout> early_blocks = spava_blocks(config, false);
  const std::vector<RankLayout> late_blocks = spava_blocks(config, true);
  const RankLayout& early_block = early_blocks[static_cast<std::size_t>(rank)];
  const RankLayout& late_block = late_blocks[static_cast<std::size_t>(rank)];

  const Index late_begin = config.anchor_len + early_block.block_len;
  const Index query_begin = late_begin + late_block.block_len;
  const Rows<Scalar> anchor = rows(input, 0, config.anchor_len);
  const Rows<Scalar> early = rows(input, config.anchor_len, early_block.block_len);
  const Rows<Scalar> late = rows(input, late_begin, late_block.block_len);
  const Rows<Scalar> query = rows(input, query_begin, config.embedded_query_len);

  // 1. and 2. Compress the early chunk and exchange what is kept; then the same for the late one.
  Selection<Scalar> selection;
  std::vector<PassingBlock<Scalar>> kept_early;
  std::vector<PassingBlock<Scalar>> kept_late;
  if (config.compressor != Compressor::kNone) {
    selection = select(context, early_block, input.layer, query.query, early.key, counters);
    kept_early = gather_kept(early_blocks, early.key, early.value, selection, context.communicator);
    const auto late_selection =
        select(context, late_block, input.layer, query.query, late.key, counters);
    kept_late =
        gather_kept(late_blocks, late.key, late.value, late_selection, context.communicator);
    selection = join(std::move(selection), late_selection);
  }

  // 3. The query over this rank's part of the document, merged over all ranks.
  const auto query_part = attend_query(context, input, query, counters);
  const auto query_result = merge_over_ranks(query_part, context.communicator);

  // 4. Anchor and early chunk, which needs the first exchange; 5. the late chunk, which needs both.
  const std::array<KeySegment<Scalar>, 1> anchor_keys{
      {{anchor.key, anchor.value, Visibility::kCausal}}};
  auto result = attend<Scalar>(anchor.query, anchor_keys, scale, counters);
  const auto lower =
      std::span(kept_early).first(kept_early.empty() ? 0 : static_cast<std::size_t>(rank));
  result =
      stack_rows(std::move(result), attend_block<Scalar>(early, anchor, lower, scale, counters));
  const auto all_before = before_late(kept_early, kept_late, rank);
  result = stack_rows(std::move(result),
                      attend_block<Scalar>(late, anchor, all_before, scale, counters));
  return {stack_rows(std::move(result), query_result), std::move(selection)};
}

template struct MethodCode<Method::kSpava, float>;
template struct MethodCode<Method::kSpava, double>;

}  // namespace apb
