#pragma once
/// \file
/// Which query tile a thread block has, and which key tiles that sees, in which order.

#include <cstdint>

#include "cuda/attention/kernel_arguments.hpp"

namespace apb::cuda {

/// Keys of a tile. No tile straddles two segments.
inline constexpr int kTileK = 64;

/// A thread block's work. All heads that share a KV head are neighbours, so that their keys stay in
/// the L2 cache; within them, and between block and anchor, long rows go first, so that no
/// processor is left with a long last tile.
struct Work {
  bool is_anchor;
  int tile;
  int q_head;
};

template <class T>
__device__ Work work_of(const KernelArguments<T>& arguments, int index) {
  const int in_block = arguments.block.tiles * arguments.num_q_heads;
  const bool is_anchor = index >= in_block;
  if (is_anchor) index -= in_block;
  const int tiles = is_anchor ? arguments.anchor.tiles : arguments.block.tiles;
  const int in_group = tiles * arguments.group_size;
  const int kv_head = index / in_group;
  const int rest = index % in_group;
  return {is_anchor, tiles - 1 - rest / arguments.group_size,
          kv_head * arguments.group_size + rest % arguments.group_size};
}

/// Walks over the key tiles that a query tile sees.
template <class T>
struct KeyTiles {
  const KernelArguments<T>& arguments;
  int causal_segment, end_segment;
  int row_begin, row_end;  ///< of the query tile, in its part
  int segment, tile;       ///< the current one

  /// Keys of the segment that some row of the tile may see.
  __device__ int keys() const {
    const int keys = arguments.segments[segment].keys;
    return segment == causal_segment ? min(keys, row_end) : keys;
  }
  /// Goes on to the next tile; false if there is none.
  __device__ bool next() {
    if (--tile >= 0) return true;
    while (++segment < end_segment) {
      tile = (keys() + kTileK - 1) / kTileK - 1;
      if (tile >= 0) return true;
    }
    return false;
  }
  __device__ int first_key() const { return tile * kTileK; }
  __device__ bool is_causal() const { return segment == causal_segment; }
  /// Whether some row of the query tile does not see some key of the tile.
  __device__ bool needs_mask() const {
    const int end = first_key() + kTileK;
    return end > keys() || (is_causal() && end > row_begin + 1);
  }
};

}  // namespace apb::cuda
