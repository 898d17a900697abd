#include "tests/methods/visible_tokens.hpp"

#include <algorithm>
#include <stdexcept>

namespace apb {
namespace {

/// Rows of a rank as tokens.
std::vector<Index> tokens_of_rows(const ApbConfig& config, const RankLayout& layout) {
  std::vector<Index> tokens;
  for (const RowRun& run : layout.runs) {
    const Index first = run.source == RowSource::kDocument ? run.first : config.doc_len + run.first;
    for (Index i = 0; i < run.count; ++i) tokens.push_back(first + i);
  }
  return tokens;
}

/// Tokens [begin, end).
void add_range(std::vector<Index>& tokens, Index begin, Index end) {
  for (Index token = begin; token < end; ++token) tokens.push_back(token);
}

/// What any rank kept of the document before `end`.
template <class Scalar>
void add_kept_before(std::vector<Index>& tokens, const std::vector<RankRun<Scalar>>& runs,
                     Index kv_head, Index end) {
  for (const RankRun<Scalar>& run : runs) {
    const auto& kept = run.output.selection.kept_positions;
    if (kept.empty()) continue;
    for (const Index doc_pos : kept[static_cast<std::size_t>(kv_head)]) {
      if (doc_pos < end) tokens.push_back(doc_pos);
    }
  }
}

/// The first token of the chunk that holds `token`, of 2 H chunks behind the anchor.
Index chunk_begin(const ApbConfig& config, Index token) {
  const auto chunks = equal_chunks(config.anchor_len, config.doc_len, 2 * Index{config.num_ranks});
  for (const Chunk& chunk : chunks) {
    if (chunk.begin <= token && token < chunk.end) return chunk.begin;
  }
  throw std::logic_error("no chunk holds this token");
}

/// Full attention's own definition: everything up to the token itself.
std::vector<Index> causal(Index token) {
  std::vector<Index> seen;
  add_range(seen, 0, token + 1);
  return seen;
}

/// Rows [anchor | block]: what stands before a row, and for block rows what was passed.
template <class Scalar>
std::vector<Index> anchor_and_block(const ApbConfig& config,
                                    const std::vector<RankRun<Scalar>>& runs, int rank, Index row,
                                    Index kv_head) {
  const RankLayout& layout = runs[static_cast<std::size_t>(rank)].layout;
  std::vector<Index> seen = tokens_of_rows(config, layout);
  seen.resize(static_cast<std::size_t>(row + 1));
  if (row >= layout.anchor_rows) add_kept_before(seen, runs, kv_head, layout.block_begin);
  return seen;
}

/// Rows [anchor | chunk | chunk | query].
template <class Scalar>
std::vector<Index> spava(const ApbConfig& config, const std::vector<RankRun<Scalar>>& runs,
                         int rank, Index row, Index kv_head) {
  const RankLayout& layout = runs[static_cast<std::size_t>(rank)].layout;
  const Index token = tokens_of_rows(config, layout)[static_cast<std::size_t>(row)];
  if (row < layout.anchor_rows || token >= config.doc_len) return causal(token);
  const Index begin = chunk_begin(config, token);
  std::vector<Index> seen;
  add_range(seen, 0, config.anchor_len);
  add_kept_before(seen, runs, kv_head, begin);
  add_range(seen, begin, token + 1);
  return seen;
}

}  // namespace

template <class Scalar>
std::vector<Index> visible_tokens(Method method, const ApbConfig& config,
                                  const std::vector<RankRun<Scalar>>& runs, int rank, Index row,
                                  Index kv_head) {
  switch (method) {
    case Method::kFull:
    case Method::kRing:
    case Method::kZigzagRing:
    case Method::kAllGather:
    case Method::kUlysses:
      return causal(runs[static_cast<std::size_t>(rank)].layout.doc_pos(row));
    case Method::kStar:
    case Method::kApe:
    case Method::kApb:
      return anchor_and_block(config, runs, rank, row, kv_head);
    case Method::kSpava:
      return spava(config, runs, rank, row, kv_head);
  }
  throw std::logic_error("visible_tokens: say here what the method's rows see");
}

template std::vector<Index> visible_tokens(Method, const ApbConfig&,
                                           const std::vector<RankRun<float>>&, int, Index, Index);
template std::vector<Index> visible_tokens(Method, const ApbConfig&,
                                           const std::vector<RankRun<double>>&, int, Index, Index);

}  // namespace apb
