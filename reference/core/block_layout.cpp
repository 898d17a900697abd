#include "reference/core/block_layout.hpp"

#include <algorithm>
#include <stdexcept>

namespace apb {
namespace {

/// A row's run and its offset inside it.
std::pair<const RowRun*, Index> locate(const RankLayout& layout, Index row) {
  Index offset = row;
  for (const RowRun& run : layout.runs) {
    if (offset >= 0 && offset < run.count) return {&run, offset};
    offset -= run.count;
  }
  throw std::out_of_range("RankLayout: row out of range");
}

/// Anchor rows of every rank but the first, positions 0, 1, 2, … in row order.
std::vector<RowRun> anchor_runs(const ApbConfig& config) {
  const bool paper = config.anchor_convention == AnchorConvention::kPaper;
  const Index query_rows = config.embedded_query_len;
  const Index document_rows = paper ? config.anchor_len : config.anchor_len - query_rows;
  const Index before_query = paper ? 0 : config.query_insert_at;

  std::vector<RowRun> runs;
  Index position = 0;
  const auto add = [&](RowSource source, Index first, Index count) {
    if (count > 0) runs.push_back({Segment::kAnchor, source, first, position, count});
    position += count;
  };
  add(RowSource::kDocument, 0, before_query);
  add(RowSource::kQuery, 0, query_rows);
  add(RowSource::kDocument, before_query, document_rows - before_query);
  return runs;
}

}  // namespace

std::vector<Chunk> equal_chunks(Index begin, Index end, Index count) {
  const Index chunk_len = (end - begin + count - 1) / count;
  std::vector<Chunk> chunks;
  for (Index i = 0; i < count; ++i) {
    const Index first = std::min(begin + i * chunk_len, end);
    chunks.push_back({first, std::min(first + chunk_len, end)});
  }
  return chunks;
}

Index RankLayout::doc_pos(Index row) const {
  const auto [run, offset] = locate(*this, row);
  return run->source == RowSource::kDocument ? run->first + offset : kNoDocPos;
}

Index RankLayout::position(Index row) const {
  const auto [run, offset] = locate(*this, row);
  return run->first_position + offset;
}

int RankLayout::token(Index row, const std::vector<int>& document,
                      const std::vector<int>& query) const {
  const auto [run, offset] = locate(*this, row);
  const std::vector<int>& source = run->source == RowSource::kDocument ? document : query;
  return source.at(static_cast<std::size_t>(run->first + offset));
}

std::optional<RowRange> RankLayout::embedded_query() const {
  Index row = 0;
  for (const RowRun& run : runs) {
    if (run.source == RowSource::kQuery) return RowRange{row, run.count};
    row += run.count;
  }
  return std::nullopt;
}

Index RankLayout::cached_rows() const {
  Index rows = 0;
  for (const RowRange& range : cached) rows += range.count;
  return rows;
}

std::optional<Index> RankLayout::cached_row(Index doc_pos) const {
  Index run_first = 0;  // row
  for (const RowRun& run : runs) {
    const Index row = run_first + doc_pos - run.first;
    const bool in_run = run.source == RowSource::kDocument && run.first <= doc_pos &&
                        doc_pos < run.first + run.count;
    Index before = 0;
    for (const RowRange& range : cached) {
      if (in_run && range.first <= row && row < range.first + range.count) {
        return before + row - range.first;
      }
      before += range.count;
    }
    run_first += run.count;
  }
  return std::nullopt;
}

int BlockLayout::owner(Index doc_pos) const {
  const auto found = std::find_if(ranks.begin(), ranks.end(), [&](const RankLayout& rank) {
    return rank.cached_row(doc_pos).has_value();
  });
  if (found == ranks.end()) throw std::out_of_range("BlockLayout: no rank owns this doc_pos");
  return static_cast<int>(found - ranks.begin());
}

BlockLayout make_block_layout(const ApbConfig& config) {
  config.validate();
  const bool selects = config.num_ranks > 1 && config.compressor != Compressor::kNone;

  BlockLayout layout;
  layout.appending_rank = config.num_ranks - 1;
  layout.query_position = config.doc_len;
  Index block_begin = 0;
  Index passing_rows = 0;
  for (const Index block_len : config.resolved_block_lens()) {
    const bool first_rank = layout.ranks.empty();
    RankLayout rank;
    if (!first_rank) rank.runs = anchor_runs(config);
    for (const RowRun& run : rank.runs) rank.anchor_rows += run.count;

    rank.block_begin = block_begin;
    rank.block_len = block_len;
    rank.cached = {{rank.anchor_rows, block_len}};
    if (block_len > 0) {
      rank.runs.push_back(
          {Segment::kBlock, RowSource::kDocument, block_begin, block_begin, block_len});
    }
    // The first anchor_len tokens reach every rank inside its anchor. (In `official` the last
    // embedded_query_len of them do not, but the authors' code excludes them all the same.)
    rank.candidate_begin = first_rank ? config.anchor_len : block_begin;
    rank.num_kept = selects ? std::min(config.num_kept, rank.num_candidates()) : 0;
    rank.passing_rows = passing_rows;

    block_begin += block_len;
    passing_rows += rank.num_kept;
    layout.ranks.push_back(std::move(rank));
  }
  return layout;
}

}  // namespace apb
