#include "reference/core/plans/zigzag_ring.hpp"

#include "reference/core/error.hpp"
#include "reference/core/plans/full.hpp"
#include "reference/core/plans/ring.hpp"
#include "reference/core/plans/work_formulas.hpp"

namespace apb {

ApbConfig zigzag_config(const ApbConfig& given) {
  if (!given.block_lens.empty()) {
    throw BadInput("config", "block_lens", fmt::format("{} lengths", given.block_lens.size()),
                   "left out: this method cuts the document into two chunks a rank");
  }
  ApbConfig config = exact_config(given);
  config.validate();
  for (const RankLayout& rank : zigzag_layout(config).ranks) {
    config.block_lens.push_back(rank.block_len);
  }
  return config;
}

BlockLayout zigzag_layout(const ApbConfig& config) {
  const Index num_ranks = config.num_ranks;
  const auto chunks = equal_chunks(0, config.doc_len, 2 * num_ranks);
  BlockLayout layout;
  layout.appending_rank = config.num_ranks - 1;
  layout.query_position = config.doc_len;
  for (Index r = 0; r < num_ranks; ++r) {
    RankLayout rank;
    rank.block_begin = chunks[static_cast<std::size_t>(r)].begin;
    for (const Index c : {r, 2 * num_ranks - 1 - r}) {
      const Chunk& chunk = chunks[static_cast<std::size_t>(c)];
      rank.block_len += chunk.count();
      if (chunk.count() == 0) continue;
      rank.runs.push_back(
          {Segment::kBlock, RowSource::kDocument, chunk.begin, chunk.begin, chunk.count()});
    }
    rank.cached = {{0, rank.block_len}};
    layout.ranks.push_back(std::move(rank));
  }
  return layout;
}

std::vector<Counters> zigzag_ring_work(const ApbConfig& config, Index element_bytes,
                                       const LayerSizes& sizes) {
  config.validate();
  const auto chunks = equal_chunks(0, config.doc_len, 2 * Index{config.num_ranks});
  std::vector<Counters> work;
  for (std::size_t r = 0; r < chunks.size() / 2; ++r) {
    Index rows = 0;
    Index pairs = 0;
    for (const Chunk& chunk : {chunks[r], chunks[chunks.size() - 1 - r]}) {
      rows += chunk.count();
      pairs += triangle(chunk.count()) + chunk.count() * chunk.begin;
    }
    work.push_back(rows_work(config, rows, config.num_q_heads, pairs, sizes));
  }
  add_ring_bytes(config, element_bytes, work);
  return work;
}

}  // namespace apb
