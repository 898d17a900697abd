#include "reference/tools/explain/example.hpp"

#include <algorithm>

#include "reference/attention/block_scores.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

/// Ranks that are drawn if that is all, and at each end if it is not.
constexpr int kMostRanks = 8;
constexpr int kEndRanks = 3;

/// Scores of one rank's block for KV head 0 of layer 0, [block_rows, 1]. Only `recent` needs no
/// model; for all others a hash stands in.
Matrix<double> seeded_scores(const ApbConfig& config, const RankLayout& rank) {
  Matrix<double> scores(rank.block_len, 1);
  for (Index row = 0; row < rank.block_len; ++row) {
    const Index doc_pos = rank.block_begin + row;
    scores(row, 0) = config.compressor == Compressor::kRecent
                         ? static_cast<double>(doc_pos)
                         : random_score(config.seed, 0, 0, doc_pos);
  }
  return scores;
}

int last_owner(const BlockLayout& layout) {
  int rank = layout.num_ranks() - 1;
  while (rank > 0 && layout.ranks[static_cast<std::size_t>(rank)].block_len == 0) --rank;
  return rank;
}

std::vector<BlockSelection> select_blocks(const ApbConfig& config, const BlockLayout& layout) {
  std::vector<BlockSelection> kept;
  Counters uncounted;
  for (const RankLayout& rank : layout.ranks) {
    Matrix<double> scores = seeded_scores(config, rank);
    Selection<double> selection = select_block(scores, rank, config.pool_kernel, uncounted);
    kept.push_back({std::move(scores), std::move(selection)});
  }
  return kept;
}

}  // namespace

Index Example::anchor_tokens() const {
  Index tokens = 0;
  for (const RowRun& run : layout.ranks.back().runs) {
    if (run.segment == Segment::kAnchor && run.source == RowSource::kDocument) tokens += run.count;
  }
  return tokens;
}

std::vector<int> Example::shown_ranks() const {
  std::vector<int> shown;
  for (int each = 0; each < config.num_ranks; ++each) {
    const bool at_an_end = each < kEndRanks || each >= config.num_ranks - kEndRanks;
    if (config.num_ranks <= kMostRanks || at_an_end || each == rank) shown.push_back(each);
  }
  return shown;
}

std::vector<Index> Example::passing_doc_pos(int of_rank) const {
  std::vector<Index> positions;
  for (int lower = 0; lower < of_rank && !kept.empty(); ++lower) {
    const auto& own = kept[static_cast<std::size_t>(lower)].selection.kept_positions.front();
    positions.insert(positions.end(), own.begin(), own.end());
  }
  return positions;
}

std::string Example::row_label(int of_rank, Index row) const {
  Index offset = row;
  for (const RowRun& run : of(of_rank).runs) {
    if (offset >= run.count) {
      offset -= run.count;
      continue;
    }
    const bool block = run.segment == Segment::kBlock;
    const std::string_view mark = block ? "" : run.source == RowSource::kQuery ? "q" : "a";
    return fmt::format("{}{}", mark, run.first + offset);
  }
  throw std::out_of_range("Example: no such row");
}

Example make_example(Method method, const ApbConfig& config, std::optional<int> rank) {
  if (!entry_of(method).block_form) {
    std::string drawn = block_method_names();
    drawn.replace(drawn.rfind(", "), 2, " or ");
    throw BadInput("command line", "--method", to_string(method),
                   drawn + " (--compare puts the others beside them)");
  }
  config.validate();
  if (rank && (*rank < 0 || *rank >= config.num_ranks)) {
    throw BadInput("command line", "--rank", *rank,
                   fmt::format("between 0 and {}", config.num_ranks - 1));
  }
  Example example;
  example.method = method;
  example.given = config;
  example.config = method_config(method, config);
  example.layout = make_block_layout(example.config);
  example.rank = rank.value_or(last_owner(example.layout));
  if (example.config.compressor != Compressor::kNone && config.num_ranks > 1) {
    example.kept = select_blocks(example.config, example.layout);
  }
  return example;
}

}  // namespace apb
