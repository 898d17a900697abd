#pragma once
/// \file
/// The portable attention kernel (sm_80 and up): online softmax over tiles of keys, products on
/// tensor cores.
///
/// A thread block has 128 query rows of one head, a warp 32 of them (two row tiles of 16, so that a
/// key fragment from shared memory serves two products: with one, shared memory would bound the
/// kernel). It goes over the keys in tiles of 64, two stages in shared memory: while one tile is
/// worked on the next one is on its way. No tile straddles two segments, so that a segment may have
/// any length and lie anywhere.
///
/// The order of the keys is [block, anchor, passing], each from its last tile to its first. So
/// tiles that need a mask (the diagonal, a segment's last one) come first in each segment, the
/// first tile of all holds a key that each row sees, and the passing slices, which arrive last, are
/// read last.

#include <climits>
#include <cstdint>

#include "cuda/attention/key_tiles.cuh"
#include "cuda/attention/tensor_core.cuh"

namespace apb::cuda {

inline constexpr float kLog2E = 1.4426950408889634F, kLn2 = 0.6931471805599453F;
inline constexpr int kThreads = 128;
inline constexpr int kRowsPerWarp = kTileQ / (kThreads / 32);

/// Bytes of shared memory: Q, and two stages of K and V.
template <int kHeadDim>
inline constexpr int kSharedBytes = 2 * kHeadDim*(kTileQ + 2 * 2 * kTileK);

/// A warp's 32 rows: running maximum, sum and output, in registers. Lane l holds of row tile m the
/// rows l / 4 (half 0) and l / 4 + 8 (half 1), and of every 8 columns the two at 2 (l % 4).
template <class T, int kHeadDim>
class WarpRows {
 public:
  using Tile = SharedTile<kHeadDim>;

  __device__ explicit WarpRows(float scale_log2) : scale_log2_(scale_log2) {
    for (int m = 0; m < 2; ++m) {
      for (int half = 0; half < 2; ++half) max_[m][half] = -INFINITY, sum_[m][half] = 0;
#pragma unroll
      for (int n = 0; n < kHeadDim / 8; ++n) {
        for (float& element : out_[m][n]) element = 0;
      }
    }
  }

  /// score [32, 64] = Q K^T, unscaled. With kMasked only the first `sixteens` of 16 keys.
  template <bool kMasked>
  __device__ void score(const Tile& query, const Tile& key, int sixteens) {
    const std::uint32_t a_first = query.chunk(warp_row() + (lane() & 15), lane() >> 4);
    const std::uint32_t b_first = key.chunk((lane() & 7) + (lane() >> 4) * 8, (lane() >> 3) & 1);
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int n = 0; n < kTileK / 8; ++n) {
        for (float& element : score_[m][n]) element = 0;
      }
    }
#pragma unroll
    for (int k = 0; k < kHeadDim / 16; ++k) {
      std::uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
        load_matrices(a[m], Tile::step(a_first, 2 * k) + 16 * m * Tile::kRowBytes);
      }
#pragma unroll
      for (int n = 0; n < kTileK / 16; ++n) {
        if (kMasked && n >= sixteens) continue;
        std::uint32_t b[4];
        load_matrices(b, Tile::step(b_first, 2 * k) + 16 * n * Tile::kRowBytes);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          Element<T>::multiply_add(score_[m][2 * n], a[m], b[0], b[1]);
          Element<T>::multiply_add(score_[m][2 * n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  /// Scores of keys that a row does not see become -inf. \param visible see visible_keys
  __device__ void mask(const int (&visible)[2][2]) {
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int n = 0; n < kTileK / 8; ++n) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
          if (8 * n + 2 * (lane() & 3) + (e & 1) >= visible[m][e >> 1]) score_[m][n][e] = -INFINITY;
        }
      }
    }
  }

  /// Scores become weights exp(score - max); sum and output follow a maximum that has grown.
  __device__ void softmax() {
    float shift_log2[2][2], factor[2][2];
    bool is_usual = true;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const float old_max = max_[m][half];
        max_[m][half] = fmaxf(old_max, tile_max(m, half));
        shift_log2[m][half] = __fmul_rn(shift(m, half), scale_log2_);
        factor[m][half] = exp2_approx(__fmul_rn(old_max, scale_log2_) - shift_log2[m][half]);
        is_usual = is_usual && factor[m][half] == 1 && is_small(shift_log2[m][half]);
      }
    }
    // Mostly no maximum has changed; a product with exactly 1 changes no bit and is left out.
    if (__any_sync(~0U, !is_usual)) {
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int half = 0; half < 2; ++half) rescale(m, half, factor[m][half]);
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          if (!is_small(shift_log2[m][half])) {
            subtract(m, half, shift(m, half));
            shift_log2[m][half] = 0;
          }
        }
      }
    }
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float sum = 0;
#pragma unroll
        for (int n = 0; n < kTileK / 8; ++n) {
#pragma unroll
          for (int e = 2 * half; e < 2 * half + 2; ++e) {
            score_[m][n][e] = exp2_approx(fmaf(score_[m][n][e], scale_log2_, -shift_log2[m][half]));
            sum += score_[m][n][e];
          }
        }
        sum_[m][half] += sum;
      }
    }
  }

  /// out += weights V, weights rounded to T. With kMasked only the first `sixteens` of 16 keys.
  template <bool kMasked>
  __device__ void weigh(const Tile& value, int sixteens) {
    const std::uint32_t b_first = value.chunk(lane() & 15, lane() >> 4);
#pragma unroll
    for (int k = 0; k < kTileK / 16; ++k) {
      if (kMasked && k >= sixteens) continue;
      // Two neighbouring 8-column pieces of a product are a 16-column left operand of the next.
      std::uint32_t a[2][4];
#pragma unroll
      for (int m = 0; m < 2; ++m) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const float* pair = &score_[m][2 * k + (i >> 1)][2 * (i & 1)];
          a[m][i] = Element<T>::pack(pair[0], pair[1]);
        }
      }
#pragma unroll
      for (int n = 0; n < kHeadDim / 16; ++n) {
        std::uint32_t b[4];
        load_transposed(b, Tile::step(b_first, 2 * n) + 16 * k * Tile::kRowBytes);
#pragma unroll
        for (int m = 0; m < 2; ++m) {
          Element<T>::multiply_add(out_[m][2 * n], a[m], b[0], b[1]);
          Element<T>::multiply_add(out_[m][2 * n + 1], a[m], b[2], b[3]);
        }
      }
    }
  }

  /// The same, key by key, so that a value which a row does not see is not even multiplied by 0:
  /// for tiles on the diagonal that hold NaN or infinity.
  __device__ void weigh_visible(const Tile& value, const int (&visible)[2][2]) {
#pragma unroll
    for (int n = 0; n < kTileK / 8; ++n) {
#pragma unroll 1
      for (int column = 0; column < 8; ++column) {
        float weight[2][2];
        for (int m = 0; m < 2; ++m) {
          for (int half = 0; half < 2; ++half) {
            const float* pair = &score_[m][n][2 * half];
            const float mine = (column & 1) != 0 ? pair[1] : pair[0];
            const float rounded = Element<T>::unpack(Element<T>::pack(mine, 0)).x;
            weight[m][half] = __shfl_sync(~0U, rounded, (lane() & ~3) | (column >> 1));
          }
        }
        const int key = 8 * n + column;
#pragma unroll
        for (int j = 0; j < kHeadDim / 8; ++j) {
          const std::uint32_t pair = read_shared_pair(value.chunk(key, j) + 4 * (lane() & 3));
          const float2 v = Element<T>::unpack(pair);
#pragma unroll
          for (int m = 0; m < 2; ++m) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
              if (key >= visible[m][half]) continue;
              out_[m][j][2 * half] += weight[m][half] * v.x;
              out_[m][j][2 * half + 1] += weight[m][half] * v.y;
            }
          }
        }
      }
    }
  }

  /// Divides by the sums and writes rows below rows_there, by way of `room`, where Q was.
  __device__ void write(const Tile& room, T* out, std::int64_t out_stride, float* lse,
                        std::int64_t lse_stride, float softmax_scale, int rows_there) {
#pragma unroll
    for (int m = 0; m < 2; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int row = own_row(m, half);
        float sum = sum_[m][half];
        sum += __shfl_xor_sync(~0U, sum, 1);
        sum += __shfl_xor_sync(~0U, sum, 2);
        if ((lane() & 3) == 0 && row < rows_there) {
          const float shift_log2 = __fmul_rn(max_[m][half], scale_log2_);
          const float shift =
              is_small(shift_log2) ? shift_log2 * kLn2 : max_[m][half] * softmax_scale;
          lse[row * lse_stride] = sum == 0 ? -INFINITY : shift + logf(sum);
        }
        const float inverse = 1 / sum;
#pragma unroll
        for (int n = 0; n < kHeadDim / 8; ++n) {
          const float* pair = &out_[m][n][2 * half];
          const std::uint32_t bits =
              sum == 0 ? 0 : Element<T>::pack(pair[0] * inverse, pair[1] * inverse);
          write_shared_pair(room.chunk(row, n) + 4 * (lane() & 3), bits);
        }
      }
    }
    __syncwarp();
#pragma unroll
    for (int i = lane(); i < kRowsPerWarp * Tile::kChunks; i += 32) {
      const int row = warp_row() + i / Tile::kChunks, chunk = i % Tile::kChunks;
      if (row < rows_there) {
        *reinterpret_cast<uint4*>(out + row * out_stride + 8 * chunk) =
            read_shared(room.chunk(row, chunk));
      }
    }
  }

  /// How many times 16 keys of a tile some row of the warp sees.
  __device__ static int visible_sixteens(const KeyTiles<T>& tiles) {
    const int own = tiles.is_causal() ? tiles.row_begin + warp_row() + kRowsPerWarp : tiles.keys();
    return (min(own, tiles.keys()) - tiles.first_key() + 15) / 16;
  }

  /// Whether the warp has rows at all.
  __device__ static bool has_rows(int rows_there) {
    return warp_row() < rows_there;
  }

  /// How many keys of a tile each of the lane's rows sees: always the first ones.
  __device__ static void visible_keys(const KeyTiles<T>& tiles, int (&visible)[2][2]) {
    for (int m = 0; m < 2; ++m) {
      for (int half = 0; half < 2; ++half) {
        const int own = tiles.is_causal() ? tiles.row_begin + own_row(m, half) + 1 : INT_MAX;
        visible[m][half] = min(own, tiles.keys()) - tiles.first_key();
      }
    }
  }

 private:
  __device__ static int lane() {
    return static_cast<int>(threadIdx.x) & 31;
  }
  /// The warp's first row in the query tile.
  __device__ static int warp_row() {
    return static_cast<int>(threadIdx.x) / 32 * kRowsPerWarp;
  }
  __device__ static int own_row(int m, int half) {
    return warp_row() + 16 * m + 8 * half + lane() / 4;
  }

  /// What is subtracted from a row's scores: the maximum, but 0 where every score so far is -inf:
  /// weights are then 0, never exp(inf - inf).
  __device__ float shift(int m, int half) const {
    return max_[m][half] == -INFINITY ? 0 : max_[m][half];
  }

  /// Scores are multiplied by scale_log2_ and the rounded product of the shift is subtracted, in
  /// one step; what it was rounded by, up to 2^-24 of it, multiplies all weights of the row alike.
  /// Where that could keep a weight of 1 from being rounded to 1, the difference is taken first.
  /// False for infinity and NaN too.
  __device__ static bool is_small(float shift_log2) {
    return fabsf(shift_log2) < 1024;
  }

  /// The largest score of a row in the tile; NaN counts for nothing.
  __device__ float tile_max(int m, int half) const {
    float max = -INFINITY;
#pragma unroll
    for (int n = 0; n < kTileK / 8; ++n) {
      max = fmaxf(max, fmaxf(score_[m][n][2 * half], score_[m][n][2 * half + 1]));
    }
    max = fmaxf(max, __shfl_xor_sync(~0U, max, 1));
    return fmaxf(max, __shfl_xor_sync(~0U, max, 2));
  }

  __device__ void rescale(int m, int half, float factor) {
    sum_[m][half] *= factor;
#pragma unroll
    for (int n = 0; n < kHeadDim / 8; ++n) {
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) out_[m][n][e] *= factor;
    }
  }

  __device__ void subtract(int m, int half, float shift) {
#pragma unroll
    for (int n = 0; n < kTileK / 8; ++n) {
#pragma unroll
      for (int e = 2 * half; e < 2 * half + 2; ++e) score_[m][n][e] -= shift;
    }
  }

  float scale_log2_;
  float max_[2][2];  ///< of unscaled scores
  float sum_[2][2];  ///< the lane's share
  float score_[2][kTileK / 8][4];
  float out_[2][kHeadDim / 8][4];
};

/// Whether the tile holds NaN or infinity anywhere; all threads of the block together.
template <class T, int kHeadDim>
__device__ bool has_non_finite(const SharedTile<kHeadDim>& tile) {
  constexpr std::uint32_t kExponent = Element<T>::kExponent;
  bool found = false;
  for (int i = static_cast<int>(threadIdx.x); i < kTileK * tile.kChunks; i += kThreads) {
    const uint4 chunk = read_shared(tile.chunk(i / tile.kChunks, i % tile.kChunks));
    for (const std::uint32_t pair : {chunk.x, chunk.y, chunk.z, chunk.w}) {
      found |= (pair & kExponent) == kExponent || (pair >> 16 & kExponent) == kExponent;
    }
  }
  return __syncthreads_or(found) != 0;
}

template <class T, int kHeadDim>
__global__ void __launch_bounds__(kThreads, 2)
    attend_kernel(const __grid_constant__ KernelArguments<T> arguments) {
  using Tile = SharedTile<kHeadDim>;
  constexpr int kTileBytes = kTileK * Tile::kRowBytes;
  extern __shared__ __align__(1024) unsigned char shared[];

  const Work work = work_of(arguments, static_cast<int>(blockIdx.x));
  const KernelRows<T>& rows = work.is_anchor ? arguments.anchor : arguments.block;
  const int row_begin = work.tile * kTileQ;
  const int rows_there = min(kTileQ, rows.rows - row_begin);
  const int kv_head = work.q_head / arguments.group_size;

  const Tile query{shared_address(shared)};
  const auto key_tile = [&](int stage) {
    return Tile{query.base + kTileQ * Tile::kRowBytes + 2 * stage * kTileBytes};
  };
  const auto value_tile = [&](int stage) { return Tile{key_tile(stage).base + kTileBytes}; };
  const auto fill_stage = [&](const KeyTiles<T>& at, int stage) {
    const KernelKeys<T>& keys = arguments.segments[at.segment];
    const std::int64_t first = at.first_key();
    const int keys_there = keys.keys - at.first_key();
    key_tile(stage).template fill<kTileK, kThreads>(
        keys.key + kv_head * keys.key_head_stride + first * keys.key_row_stride,
        keys.key_row_stride, keys_there);
    value_tile(stage).template fill<kTileK, kThreads>(
        keys.value + kv_head * keys.value_head_stride + first * keys.value_row_stride,
        keys.value_row_stride, keys_there);
  };

  query.template fill<kTileQ, kThreads>(
      rows.query + work.q_head * rows.query_head_stride + row_begin * rows.query_row_stride,
      rows.query_row_stride, rows_there);
  KeyTiles<T> current{arguments, rows.first_segment,     rows.end_segment,
                      row_begin, row_begin + rows_there, rows.first_segment - 1,
                      0};
  bool more = current.next();
  if (more) fill_stage(current, 0);

  WarpRows<T, kHeadDim> own(arguments.softmax_scale * kLog2E);
  const bool has_rows = own.has_rows(rows_there);
  for (int stage = 0; more; stage ^= 1) {
    wait_for_copies();
    __syncthreads();  // this stage has arrived, and nobody reads the other one any more
    KeyTiles<T> next = current;
    more = next.next();
    if (more) fill_stage(next, stage ^ 1);

    const bool is_masked = current.needs_mask();
    const bool is_special =
        is_masked && current.is_causal() && has_non_finite<T>(value_tile(stage));
    if (!has_rows) {
      // Nothing to do but copying and waiting with the others.
    } else if (is_masked) {
      const int sixteens = own.visible_sixteens(current);
      int visible[2][2];
      own.visible_keys(current, visible);
      own.template score<true>(query, key_tile(stage), sixteens);
      own.mask(visible);
      own.softmax();
      if (is_special) {
        own.weigh_visible(value_tile(stage), visible);
      } else {
        own.template weigh<true>(value_tile(stage), sixteens);
      }
    } else {
      own.template score<false>(query, key_tile(stage), 0);
      own.softmax();
      own.template weigh<false>(value_tile(stage), 0);
    }
    current.segment = next.segment;
    current.tile = next.tile;
  }
  wait_for_copies();  // Q, if there was no key: its room takes the output
  __syncthreads();
  own.write(query, rows.out + work.q_head * rows.out_head_stride + row_begin * rows.out_row_stride,
            rows.out_row_stride,
            rows.lse + static_cast<std::int64_t>(row_begin) * arguments.num_q_heads + work.q_head,
            arguments.num_q_heads, arguments.softmax_scale, rows_there);
}

}  // namespace apb::cuda
