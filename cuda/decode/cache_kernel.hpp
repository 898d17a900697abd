#pragma once
/// \file
/// What the decode kernel is given: checked shapes.

#include "cuda/decode/attend_cache.hpp"

namespace apb::cuda {

/// Keys of a piece: enough pieces to fill a GPU at the lengths of a long document, and a fixed
/// number, so that results do not depend on the device.
inline constexpr Index kPieceKeys = 256;

/// Pieces of a cache; an empty one has one piece.
[[nodiscard]] constexpr Index num_pieces(Index keys) {
  return keys == 0 ? 1 : (keys + kPieceKeys - 1) / kPieceKeys;
}

/// Enqueues the kernel.
/// \param partials [num_pieces(keys)] partials
template <class T, int kHeadDim>
void launch_cache_attention(const CacheAttention<T>& problem, float* partials, cudaStream_t stream);

}  // namespace apb::cuda
