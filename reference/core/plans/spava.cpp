#include "reference/core/plans/spava.hpp"

#include <algorithm>

#include "reference/core/error.hpp"
#include "reference/core/plans/work_formulas.hpp"

namespace apb {

std::vector<RankLayout> spava_blocks(const ApbConfig& config, bool late) {
  const auto chunks = equal_chunks(config.anchor_len, config.doc_len, 2 * Index{config.num_ranks});
  std::vector<RankLayout> blocks;
  for (int r = 0; r < config.num_ranks; ++r) {
    const Chunk& chunk = chunks[static_cast<std::size_t>(late ? 2 * config.num_ranks - 1 - r : r)];
    RankLayout block;
    block.block_begin = block.candidate_begin = chunk.begin;
    block.block_len = chunk.count();
    const bool keeps = config.compressor != Compressor::kNone;
    block.num_kept = keeps ? std::min(config.num_kept, chunk.count()) : 0;
    blocks.push_back(block);
  }
  return blocks;
}

RowRange spava_cached_anchor(const ApbConfig& config, Index rank) {
  const Index begin = rank * config.anchor_len / config.num_ranks;
  return {begin, (rank + 1) * config.anchor_len / config.num_ranks - begin};
}

ApbConfig spava_config(const ApbConfig& given) {
  ApbConfig config = given;
  if (!config.block_lens.empty()) {
    throw BadInput("config", "block_lens", fmt::format("{} lengths", config.block_lens.size()),
                   "left out: this method cuts the document into two chunks a rank");
  }
  if (config.anchor_len > config.doc_len) {
    throw BadInput("config", "anchor_len", config.anchor_len,
                   fmt::format("at most the document ({} tokens)", config.doc_len));
  }
  if (config.compressor == Compressor::kRetainingHead) {
    throw BadInput("config", "compressor", to_string(config.compressor),
                   "query_aware, random, recent or none: this method selects without training");
  }
  config.embedded_query_len = config.query_len;
  config.anchor_convention = AnchorConvention::kPaper;
  config.query_insert_at = 0;
  if (config.num_kept == 0) config.compressor = Compressor::kNone;  // no scores for nothing
  config.ape_temperature = config.ape_scale = 1;
  for (const RankLayout& rank : spava_layout(config).ranks) {
    const bool caches_query = config.block_lens.empty();  // rank 0
    config.block_lens.push_back(rank.cached_rows() - (caches_query ? rank.query_rows : 0));
  }
  config.validate();
  return config;
}

BlockLayout spava_layout(const ApbConfig& config) {
  const auto early = spava_blocks(config, false);
  const auto late = spava_blocks(config, true);
  BlockLayout layout;
  layout.appending_rank = kSpavaQueryRank;
  layout.query_position = config.doc_len;
  for (std::size_t r = 0; r < early.size(); ++r) {
    RankLayout rank;
    rank.anchor_rows = config.anchor_len;
    rank.block_begin = early[r].block_begin;
    rank.block_len = early[r].block_len + late[r].block_len;
    rank.query_rows = config.embedded_query_len;
    rank.num_kept = early[r].num_kept + late[r].num_kept;
    const auto add = [&](Segment segment, RowSource source, Index first, Index position,
                         Index count) {
      if (count > 0) rank.runs.push_back({segment, source, first, position, count});
    };
    add(Segment::kAnchor, RowSource::kDocument, 0, 0, config.anchor_len);
    for (const RankLayout& chunk : {early[r], late[r]}) {
      add(Segment::kBlock, RowSource::kDocument, chunk.block_begin, chunk.block_begin,
          chunk.block_len);
    }
    add(Segment::kQuery, RowSource::kQuery, 0, config.doc_len, rank.query_rows);
    const bool caches_query = r == kSpavaQueryRank;
    rank.cached = {spava_cached_anchor(config, static_cast<Index>(r)),
                   {rank.anchor_rows, rank.block_len + (caches_query ? rank.query_rows : 0)}};
    layout.ranks.push_back(std::move(rank));
  }
  return layout;
}

std::vector<Counters> spava_work(const ApbConfig& config, Index element_bytes,
                                 const LayerSizes& sizes) {
  config.validate();
  const Index num_ranks = config.num_ranks;
  const auto chunks = equal_chunks(config.anchor_len, config.doc_len, 2 * num_ranks);
  const bool keeps = config.compressor != Compressor::kNone;
  std::vector<Index> kept;         // of each virtual rank
  std::vector<Index> kept_before;  // by all virtual ranks before it
  for (const Chunk& chunk : chunks) {
    kept_before.push_back(kept.empty() ? 0 : kept_before.back() + kept.back());
    kept.push_back(keeps ? std::min(config.num_kept, chunk.count()) : 0);
  }
  const Index query_rows = config.embedded_query_len;
  std::vector<Counters> work;
  for (Index r = 0; r < num_ranks; ++r) {
    const Index anchor_part =
        (r + 1) * config.anchor_len / num_ranks - r * config.anchor_len / num_ranks;
    Index rows = config.anchor_len + query_rows;
    Index pairs = triangle(config.anchor_len) + query_rows * anchor_part +
                  (r == 0 ? triangle(query_rows) : 0);
    Index block_rows = 0;
    for (const Index v : {r, 2 * num_ranks - 1 - r}) {
      const Index chunk_len = chunks[static_cast<std::size_t>(v)].count();
      block_rows += chunk_len;
      pairs += triangle(chunk_len) +
               chunk_len * (config.anchor_len + kept_before[static_cast<std::size_t>(v)]) +
               query_rows * chunk_len;
    }
    rows += block_rows;
    work.push_back(rows_work(config, rows, config.num_q_heads, pairs, sizes));
    if (config.compressor == Compressor::kQueryAware) {
      work.back().compressor_flop =
          checked_product(config, {2, block_rows, config.num_kv_heads, config.head_dim});
    }
  }
  std::vector<Index> own_bytes;
  for (std::size_t r = 0; r < work.size(); ++r) {
    const Index own_kept = kept[r] + kept[kept.size() - 1 - r];
    const Index query_bytes = checked_product(
        config, {query_rows, config.num_q_heads, config.head_dim + 1, element_bytes});  // out, lse
    own_bytes.push_back(key_value_bytes(config, own_kept, element_bytes) + query_bytes);
  }
  add_all_gather(config, own_bytes, work);
  return work;
}

}  // namespace apb
