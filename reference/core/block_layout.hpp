#pragma once
/// \file
/// Who holds what: which document and query tokens each rank computes, at which positions, which
/// of its tokens may be kept, and how many passing entries it receives.
///
/// Inside a rank rows are [anchor, block] and keys are [anchor, passing, block]. Two indices, never
/// mixed: `doc_pos` is the index in the document (-1 for query rows), `position` is what RoPE sees.
///
/// Methods that cut the document in another way (zigzag chunks, reused positions, a query fused
/// into the prefill) state it with the same types; the rows of such a rank are [anchor, block,
/// query].

#include <optional>
#include <vector>

#include "reference/core/config.hpp"

namespace apb {

/// The part of a rank's sequence that a row or key belongs to.
enum class Segment { kAnchor, kPassing, kBlock, kQuery };

/// Where a row's token comes from.
enum class RowSource { kDocument, kQuery };

/// Consecutive rows whose tokens and positions count up by one.
struct RowRun {
  Segment segment = Segment::kBlock;
  RowSource source = RowSource::kDocument;
  Index first = 0;           ///< index of the first token in its source
  Index first_position = 0;  ///< RoPE position of the first row
  Index count = 0;

  friend bool operator==(const RowRun&, const RowRun&) = default;
};

/// Consecutive rows of a rank.
struct RowRange {
  Index first = 0;
  Index count = 0;

  friend bool operator==(const RowRange&, const RowRange&) = default;
};

/// Consecutive document tokens [begin, end).
struct Chunk {
  Index begin = 0;
  Index end = 0;

  [[nodiscard]] Index count() const { return end - begin; }
};

/// Cuts [begin, end) into `count` chunks of ceil((end - begin) / count) tokens; the last ones may
/// be short or empty.
[[nodiscard]] std::vector<Chunk> equal_chunks(Index begin, Index end, Index count);

/// The doc_pos of rows that hold query tokens.
inline constexpr Index kNoDocPos = -1;

/// One rank's share of the prefill.
struct RankLayout {
  std::vector<RowRun> runs;  ///< in row order, anchor first; no empty run
  /// Rows of the anchor block, query rows included; 0 on rank 0 (but not in Spava).
  Index anchor_rows = 0;
  Index query_rows = 0;  ///< rows of a query that is fused into the prefill, last; else 0
  /// doc_pos of the block's first token. This, block_end() and the candidates mean something only
  /// where the block is one piece, not where it is two chunks (zigzag_ring, all_gather,
  /// spava).
  Index block_begin = 0;
  Index block_len = 0;        ///< tokens (rows) of the own block
  Index candidate_begin = 0;  ///< tokens [candidate_begin, block_end()) may be kept
  Index num_kept = 0;         ///< entries this rank keeps and passes, per KV head
  Index passing_rows = 0;     ///< entries it receives and uses, per KV head: what lower ranks keep
  std::vector<RowRange> cached;  ///< rows whose keys and values stay after prefill, ascending

  [[nodiscard]] Index rows() const { return anchor_rows + block_len + query_rows; }
  [[nodiscard]] Index block_end() const { return block_begin + block_len; }
  [[nodiscard]] Index num_candidates() const { return block_end() - candidate_begin; }

  /// Document index of a row; kNoDocPos for query rows.
  [[nodiscard]] Index doc_pos(Index row) const;
  /// What RoPE sees for a row.
  [[nodiscard]] Index position(Index row) const;
  /// Token of a row.
  /// \param document,query token ids; query must hold the embedded query
  [[nodiscard]] int token(Index row, const std::vector<int>& document,
                          const std::vector<int>& query) const;
  /// Rows of the embedded query, which is one run; none where the rank holds no query.
  [[nodiscard]] std::optional<RowRange> embedded_query() const;
  /// Rows in the cache after prefill.
  [[nodiscard]] Index cached_rows() const;
  /// Where a document token stands in the cache, if it is there.
  [[nodiscard]] std::optional<Index> cached_row(Index doc_pos) const;
};

/// The whole system: one RankLayout per rank.
struct BlockLayout {
  std::vector<RankLayout> ranks;
  int appending_rank = 0;    ///< whose cache takes the keys and values of query and answer
  Index query_position = 0;  ///< position of the query's first row

  [[nodiscard]] int num_ranks() const { return static_cast<int>(ranks.size()); }
  /// The rank that caches a document token: exactly one does.
  [[nodiscard]] int owner(Index doc_pos) const;
};

/// Derives the layout from a configuration, which is validated first.
/// \throws BadInput as ApbConfig::validate
[[nodiscard]] BlockLayout make_block_layout(const ApbConfig& config);

}  // namespace apb
