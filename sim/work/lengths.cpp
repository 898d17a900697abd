#include "sim/work/lengths.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "sim/work/plan_builder.hpp"

namespace apb::sim {
namespace {

constexpr Index kTile = 128;

Index whole_tiles(Index tokens) {
  return tokens < kTile ? tokens : tokens / kTile * kTile;
}

/// A share of the document in whole tiles, rounded up.
Index whole_tiles_up(Index doc_len, Index parts) {
  return kTile * ((doc_len / parts + kTile - 1) / kTile);
}

/// A 64th of the document, or what rank 0 can hold: an anchor must not be longer than what it has
/// of the document, which is its share of the anchor and two of 2H chunks of the rest. Where the
/// rest does not divide, the last chunk, which is one of them, may be empty.
Index spava_anchor(Index doc_len, Index num_ranks) {
  const Index usual = whole_tiles_up(doc_len, 64);
  const Index rest = std::max<Index>(0, doc_len - usual);
  const Index chunk = largest_share(rest, 2 * num_ranks);
  const Index last_chunk = std::max<Index>(0, rest - (2 * num_ranks - 1) * chunk);
  if (usual <= doc_len && usual <= usual / num_ranks + chunk + last_chunk) return usual;
  return whole_tiles(doc_len / (2 * num_ranks + 1));  // one chunk's length
}

}  // namespace

void set_usual_lengths(Job& job) {
  ApbConfig& lengths = job.lengths;
  const Index block = lengths.resolved_block_lens().front();
  constexpr Index kLongestAnchor = 8192;
  const Index anchor = std::min(whole_tiles(block / 4), kLongestAnchor);
  lengths.anchor_len = lengths.num_kept = 0;
  switch (job.method) {
    case SimMethod::kApb:
      lengths.anchor_len = anchor;
      lengths.num_kept = whole_tiles(anchor / 2);
      break;
    case SimMethod::kApe:
      lengths.anchor_len = anchor;
      break;
    case SimMethod::kStar:
      lengths.anchor_len = block;
      break;
    case SimMethod::kSpava:
      lengths.anchor_len = spava_anchor(lengths.doc_len, lengths.num_ranks);
      lengths.num_kept = whole_tiles_up(lengths.doc_len, 128);
      break;
    default:
      break;
  }
}

void shift_blocks(Job& job, const std::vector<double>& busy_s) {
  std::vector<Index> blocks = job.lengths.resolved_block_lens();
  const double mean =
      std::accumulate(busy_s.begin(), busy_s.end(), 0.0) / static_cast<double>(busy_s.size());
  std::vector<double> wanted;
  for (std::size_t r = 0; r < blocks.size(); ++r) {
    // Half of the step that would even out a time proportional to the block: it is not.
    wanted.push_back(static_cast<double>(blocks[r]) * std::sqrt(mean / busy_s[r]));
  }
  const double all = std::accumulate(wanted.begin(), wanted.end(), 0.0);
  Index given = 0;
  for (std::size_t r = 1; r < blocks.size(); ++r) {
    const double tokens = wanted[r] / all * static_cast<double>(job.lengths.doc_len);
    blocks[r] = whole_tiles(std::llround(tokens));
    given += blocks[r];
  }
  blocks[0] = std::max<Index>(0, job.lengths.doc_len - given);
  job.lengths.block_lens = std::move(blocks);
}

}  // namespace apb::sim
