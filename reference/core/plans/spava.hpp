#pragma once
/// \file
/// Spava's plan: 2 H virtual blocks in zigzag order behind one anchor (methods/spava.cpp).

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// The rank that owns the document's last chunk, and with it the query.
inline constexpr int kSpavaQueryRank = 0;

/// The anchor holds no query; embedded_query_len becomes query_len: the rows of the fused query.
/// block_lens become the document tokens that each rank caches.
/// \throws BadInput if block lengths are given, the anchor is longer than what rank 0 caches, or
/// the compressor is retaining_head
[[nodiscard]] ApbConfig spava_config(const ApbConfig& given);

/// Rows of rank r: [anchor | chunk r | chunk 2 H - 1 - r | query]. The anchor, the first anchor_len
/// tokens, is on every rank; the chunks share the rest of the document. Each rank caches its part
/// of the anchor and its chunks; kSpavaQueryRank also the query.
[[nodiscard]] BlockLayout spava_layout(const ApbConfig& config);

/// The early chunk r, or the late chunk 2 H - 1 - r, of each rank r, as a block that keeps
/// num_kept of its tokens.
[[nodiscard]] std::vector<RankLayout> spava_blocks(const ApbConfig& config, bool late);

/// Anchor rows that a rank caches: [rank anchor_len / H, (rank + 1) anchor_len / H).
[[nodiscard]] RowRange spava_cached_anchor(const ApbConfig& config, Index rank);

/// Work of one layer (layer_work.hpp): anchor, chunks r and 2 H - 1 - r, and the query on every
/// rank.
[[nodiscard]] std::vector<Counters> spava_work(const ApbConfig& config, Index element_bytes,
                                               const LayerSizes& sizes);

}  // namespace apb
