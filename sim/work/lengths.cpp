#include "sim/work/lengths.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace apb::sim {
namespace {

constexpr Index kTile = 128;

Index whole_tiles(Index tokens) {
  return tokens < kTile ? tokens : tokens / kTile * kTile;
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
    case SimMethod::kSpava: {
      const auto tiles = [&](Index part) { return (lengths.doc_len / part + kTile - 1) / kTile; };
      lengths.anchor_len = std::min(lengths.doc_len, kTile * tiles(64));
      lengths.num_kept = kTile * tiles(128);
      break;
    }
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
