// Spava (arXiv 2601.21444), one layer: APB on 2H virtual ranks, of which rank r holds r and
// 2H - 1 - r, so that everybody gets the same amount of passing entries; the query's rows go
// through the prefill with the document.
//
//   project       rows [anchor, early chunk, late chunk, query]
//   select        from both chunks, by the query (no training)
//   all-gather    what everybody kept; beside it the anchor, both chunks and the query's own rows
//   all-gather    the query's partial results
//   attend        the chunks to what was passed

#include "reference/core/plans/spava.hpp"
#include "sim/methods/method_table.hpp"
#include "sim/methods/segments.hpp"

namespace apb::sim {

void plan_spava(const PlanInput& input, PlanBuilder& builder) {
  const ApbConfig& config = input.config;
  const auto num_ranks = static_cast<std::size_t>(builder.num_ranks());
  const auto chunks = equal_chunks(config.anchor_len, config.doc_len, 2 * Index{config.num_ranks});
  const bool keeps = config.compressor != Compressor::kNone;
  std::vector<Index> kept_before{0};  // by the virtual ranks before each
  for (const Chunk& chunk : chunks) {
    kept_before.push_back(kept_before.back() +
                          (keeps ? std::min(config.num_kept, chunk.count()) : 0));
  }
  const auto kept = [&](std::size_t v) { return kept_before[v + 1] - kept_before[v]; };
  const auto late = [&](std::size_t r) { return 2 * num_ranks - 1 - r; };
  const Index query_rows = config.embedded_query_len;

  std::vector<Index> rows;
  std::vector<Index> kept_bytes;
  std::vector<Index> query_bytes;
  for (std::size_t r = 0; r < num_ranks; ++r) {
    const auto rank = static_cast<int>(r);
    const Index block_rows = chunks[r].count() + chunks[late(r)].count();
    rows.push_back(config.anchor_len + block_rows + query_rows);
    builder.project(rank, rows.back());
    if (config.compressor == Compressor::kQueryAware) {
      builder.gemm(rank, Part::kSelection, block_rows, builder.own_kv_heads(), config.head_dim);
    }
    kept_bytes.push_back(builder.key_value_bytes(kept(r) + kept(late(r))));
    if (keeps) builder.stream(rank, Part::kSelection, 2 * kept_bytes.back(), 3);
    query_bytes.push_back(builder.bytes(query_rows, builder.own_q_heads() * (config.head_dim + 1)));
  }
  builder.all_gather(kept_bytes);
  const auto go_on = [&] { input.overlapped ? builder.beside_exchange() : builder.next_step(); };

  go_on();
  for (std::size_t r = 0; r < num_ranks; ++r) {
    const auto rank = static_cast<int>(r);
    const Index early_len = chunks[r].count();
    const Index late_len = chunks[late(r)].count();
    attend_own(builder, rank, {config.anchor_len, config.anchor_len, early_len, 0});
    attend_own(builder, rank, {0, config.anchor_len, late_len, 0});
    // The query sees this rank's share of the anchor, its chunks and, on rank 0, itself.
    const Index keys =
        spava_cached_anchor(config, static_cast<Index>(r)).count + early_len + late_len;
    const Index own_pairs = r == 0 ? causal_pairs(query_rows) : 0;
    builder.attend(rank, query_rows, query_rows * keys + own_pairs, keys, MaskKind::kFull);
  }
  builder.next_step();
  builder.all_gather(query_bytes);
  go_on();
  for (std::size_t r = 0; r < num_ranks; ++r) {
    const auto rank = static_cast<int>(r);
    attend_passing(builder, rank, {0, 0, chunks[r].count(), kept_before[r]});
    attend_passing(builder, rank, {0, 0, chunks[late(r)].count(), kept_before[late(r)]});
  }
  builder.next_step();
  builder.finish(rows);
}

}  // namespace apb::sim
