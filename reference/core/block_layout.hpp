#pragma once
/// \file
/// Who holds what: which document and query tokens each rank computes, at which positions, which
/// of its tokens may be kept, and how many passing entries it receives.
///
/// Inside a rank rows are [anchor, block] and keys are [anchor, passing, block]. Two indices, never
/// mixed: `doc_pos` is the index in the document (-1 for query rows), `position` is what RoPE sees.

#include <vector>

#include "reference/core/config.hpp"

namespace apb {

/// The part of a rank's sequence that a row or key belongs to.
enum class Segment { kAnchor, kPassing, kBlock };

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

/// The doc_pos of rows that hold query tokens.
inline constexpr Index kNoDocPos = -1;

/// One rank's share of the prefill.
struct RankLayout {
  std::vector<RowRun> runs;   ///< in row order, anchor first; no empty run
  Index anchor_rows = 0;      ///< rows of the anchor block, query rows included; 0 on rank 0
  Index block_begin = 0;      ///< doc_pos of the block's first token
  Index block_len = 0;        ///< tokens (rows) of the own block
  Index candidate_begin = 0;  ///< tokens [candidate_begin, block_end()) may be kept
  Index num_kept = 0;         ///< entries this rank keeps and passes, per KV head
  Index passing_rows = 0;     ///< entries it receives and uses, per KV head: what lower ranks keep

  [[nodiscard]] Index rows() const { return anchor_rows + block_len; }
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
};

/// The whole system: one RankLayout per rank.
struct BlockLayout {
  std::vector<RankLayout> ranks;

  [[nodiscard]] int num_ranks() const { return static_cast<int>(ranks.size()); }
  /// The rank that owns a document token.
  [[nodiscard]] int owner(Index doc_pos) const;
};

/// Derives the layout from a configuration, which is validated first.
/// \throws BadInput as ApbConfig::validate
[[nodiscard]] BlockLayout make_block_layout(const ApbConfig& config);

}  // namespace apb
