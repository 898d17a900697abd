#pragma once
/// \file
/// What a plug-in kernel is called with: shapes and kinds of numbers that kernels stumble over, few
/// enough to run in seconds. Every two traits (a head_dim and a length, a group and a scale, …)
/// meet in at least one shape, so that a fault that shows only where two of them come together
/// shows.

#include <array>
#include <span>
#include <string>
#include <vector>

#include "reference/core/case/case_file.hpp"

namespace apb {

/// Rows of the three segments.
struct GridLengths {
  Index anchor;
  Index passing;
  Index block;
};

struct GridHeads {
  Index num_q_heads;
  Index num_kv_heads;
};

/// The factor of q·k.
enum class GridScale {
  kUsual,  ///< 1 / sqrt(head_dim)
  kSmall,  ///< 1 / (2 head_dim): q·k grows beyond what fp16 holds
  kLarge   ///< 0.6 whatever head_dim
};

/// Scores, after scaling.
enum class GridScores {
  kOrdinary,  ///< a few units about 0
  kFlat,      ///< hardly different: all keys count alike
  kRaised,    ///< ordinary, and 150 above: exp without a shift overflows
  kLowered,   ///< ordinary, and 400 below: exp without a shift gives 0
  kWide       ///< hundreds apart: a row sees one key
};

enum class GridValues {
  kOrdinary,
  kOutliers  ///< as in models: one channel 64 times larger, one key in 16 16 times
};

struct GridShape {
  std::string length_class;  ///< e.g. "beside 64"
  GridLengths lengths;
  GridHeads heads;
  Index head_dim;
  Index batch = 1;
  GridScale scale = GridScale::kUsual;
  GridScores scores = GridScores::kOrdinary;
  GridValues values = GridValues::kOrdinary;
  bool hidden_nan = false;  ///< NaN in keys and values that some rows, or all, must not see

  [[nodiscard]] double softmax_scale() const;
  [[nodiscard]] std::string in_words() const;
};

/// Head dimensions of the grid.
inline constexpr std::array<Index, 7> kGridHeadDims{64, 128, 32, 80, 96, 192, 256};

/// The simplest shape of a head_dim: whether a kernel supports it at all.
[[nodiscard]] GridShape first_shape(Index head_dim);

/// All others, of these head dimensions; few of them have thousands of keys.
[[nodiscard]] std::vector<GridShape> grid_shapes(std::span<const Index> head_dims);

/// One call's inputs.
struct GridCall {
  ApbConfig config;             ///< heads and scale
  std::vector<CaseRank> items;  ///< of the batch
};

/// Random numbers of the shape's kinds, every one representable in the type.
[[nodiscard]] GridCall grid_call(const GridShape& shape, ValueType type, std::uint64_t seed);

}  // namespace apb
