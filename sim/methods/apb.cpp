// APB (arXiv 2502.12085), one layer:
//
//   project       rows [anchor, block]
//   score         the block's rows, by the compressor
//   select        num_kept entries a KV head, packed into the send buffer
//   all-gather    what everybody kept
//   attend        [anchor, passing, block]; the passing block is what lower ranks kept

#include <numeric>

#include "sim/methods/method_table.hpp"
#include "sim/methods/segments.hpp"

namespace apb::sim {
namespace {

/// Products that score a block of `rows`.
void score(const PlanInput& input, PlanBuilder& builder, int rank, Index rows) {
  const ModelSizes& model = input.job.model;
  if (input.config.compressor == Compressor::kQueryAware) {
    builder.gemm(rank, Part::kSelection, rows, builder.own_kv_heads(), model.head_dim);
  }
  if (input.config.compressor != Compressor::kRetainingHead) return;
  const Index inputs = (builder.own_q_heads() + 2 * builder.own_kv_heads()) * model.head_dim;
  if (model.retaining_size == 0) {
    builder.gemm(rank, Part::kRetainingHead, rows, model.num_kv_heads, inputs);
    return;
  }
  builder.gemm(rank, Part::kRetainingHead, rows, model.retaining_size, inputs);
  builder.gemm(rank, Part::kRetainingHead, rows, model.num_kv_heads, model.retaining_size);
}

/// Max-pool, top-k over one float a row and KV head, gather of what is kept.
void select(PlanBuilder& builder, int rank, Index rows, Index kept) {
  constexpr Index kPasses = 6;  // pool reads and writes, then four passes of the selection
  constexpr Index kFloat = 2;   // a score is twice as wide as an element
  builder.stream(rank, Part::kSelection,
                 kPasses * builder.bytes(rows, kFloat * builder.own_kv_heads()), 2);
  builder.stream(rank, Part::kSelection, 2 * builder.key_value_bytes(kept));
}

/// Rank 0 holds no query: rank 1 sends it the query's rows of this layer.
void send_query(const PlanInput& input, PlanBuilder& builder) {
  const Index bytes = builder.bytes(input.config.embedded_query_len, builder.out_width());
  Exchange& message = builder.exchange(CollectiveKind::kSendReceive, Meeting::kAllRanks);
  message.received[0] = message.sent[1] = message.size[0] = bytes;
  builder.next_step();
}

}  // namespace

void plan_apb(const PlanInput& input, PlanBuilder& builder) {
  const std::vector<RankLayout>& ranks = input.layout.ranks;
  if (ranks.size() == 1 || input.config.compressor == Compressor::kNone) {
    plan_star(input, builder);  // nothing is passed: anchor and block are one causal sequence
    return;
  }
  std::vector<Index> rows;
  for (const RankLayout& rank : ranks) {
    builder.project(static_cast<int>(rows.size()), rank.rows());
    rows.push_back(rank.rows());
  }
  if (input.config.compressor == Compressor::kQueryAware) send_query(input, builder);
  std::vector<Index> kept_bytes;
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    score(input, builder, static_cast<int>(r), ranks[r].block_len);
    select(builder, static_cast<int>(r), ranks[r].block_len, ranks[r].num_kept);
    kept_bytes.push_back(builder.key_value_bytes(ranks[r].num_kept));
  }
  builder.all_gather(kept_bytes);
  const auto segments = [&](std::size_t r) {
    const RankLayout& rank = ranks[r];
    return Segments{rank.anchor_rows, rank.anchor_rows, rank.block_len, rank.passing_rows};
  };
  if (input.overlapped) {
    builder.beside_exchange();
    for (std::size_t r = 0; r < ranks.size(); ++r) {
      attend_own(builder, static_cast<int>(r), segments(r));
    }
  }
  builder.next_step();
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    if (input.overlapped) {
      attend_passing(builder, static_cast<int>(r), segments(r));
    } else {
      attend_all(builder, static_cast<int>(r), segments(r), input.style);
    }
  }
  builder.finish(rows);
}

}  // namespace apb::sim
