#pragma once
/// \file
/// Attention as real kernels compute it, for the proof of the error budget: every way to round that
/// a right kernel may choose, over inputs of every shape that makes rounding hurt. Written apart
/// from all library code.

#include <cstdint>
#include <string>
#include <string_view>

#include "reference/core/value_type.hpp"
#include "reference/verify/truth.hpp"

namespace apb {

/// What the scaled scores of a row look like.
enum class Logits {
  kNormal,     ///< standard deviation 1
  kWide,       ///< 3
  kHuge,       ///< 100: one key wins
  kTiny,       ///< from 1e-4 to 0.1, row by row: weights round alike
  kEqual,      ///< all keys are the same
  kClusters,   ///< keys are copies of four
  kDominant,   ///< key 0 is 12 above normal ones
  kCancelling  ///< products of hundreds cancel in q·k
};

/// What the values look like.
enum class Values {
  kNormal,
  kAlternating,  ///< v, -v, v, -v, …: rows cancel
  kOutliers,     ///< one key in 50 is 128 times as large
  kColumn,       ///< one column is 100 times as large and of one sign
  kSameSign,     ///< all between 1 and 2
  kZeros,        ///< only one key in 20 is not 0
};

inline constexpr Logits kAllLogits[]{Logits::kNormal,   Logits::kWide,      Logits::kHuge,
                                     Logits::kTiny,     Logits::kEqual,     Logits::kClusters,
                                     Logits::kDominant, Logits::kCancelling};
inline constexpr Values kAllValues[]{Values::kNormal, Values::kAlternating, Values::kOutliers,
                                     Values::kColumn, Values::kSameSign,    Values::kZeros};

[[nodiscard]] std::string_view in_words(Logits logits);
[[nodiscard]] std::string_view in_words(Values values);

/// Rows that see all keys, one KV head.
struct RoundingProblem {
  HeadsTensor<double> query;  ///< [rows, heads, head_dim]
  HeadsTensor<double> key;    ///< [keys, 1, head_dim]
  HeadsTensor<double> value;
  double softmax_scale = 1;

  [[nodiscard]] AttentionSetup setup() const;
};

struct ProblemSize {
  Index rows = 64;
  Index heads = 4;
  Index keys = 300;
  Index head_dim = 64;
};

/// Inputs are rounded to `type`.
[[nodiscard]] RoundingProblem make_problem(std::uint64_t seed, Logits logits, Values values,
                                           const ProblemSize& size, ValueType type);

/// How partial results of parts of the keys become one.
enum class Merge {
  kSums,   ///< maximum, sum and product are carried on
  kByLse,  ///< each part is divided by its sum; weighed by its lse at the end
  kRing,   ///< o - sigmoid(b_lse - lse) (o - b), part by part
};

struct RoundingKernel {
  ValueType p_type = ValueType::kFloat32;
  ValueType out_type = ValueType::kFloat32;
  Index tile = 64;
  bool base_2 = true;        ///< exp2 of scores times log2(e)
  bool lazy = false;         ///< rescales only where the maximum has grown by more than 2^8
  bool tensor_core = false;  ///< every partial sum of 8 products is cut off towards zero
  int exp_degree = 0;        ///< of the polynomial instead of exp2's fraction; 0: exact
  bool backwards = false;    ///< keys from last to first
  int parts = 1;
  Merge merge = Merge::kSums;
  ValueType partial_type = ValueType::kFloat32;  ///< of a part's out

  // What a wrong kernel does.
  Index lost_begin = 0, lost_count = 0;  ///< keys that it does not see
  bool truncates_out = false;
  bool rounds_p_to_fp8 = false;  ///< 4 bits of significand
  bool unweighted_merge = false;

  [[nodiscard]] std::string text() const;
};

/// Largest relative error of the polynomial of a degree; 0 for degree 0.
[[nodiscard]] double exp_error(int degree);

/// out and lse of all rows and heads.
[[nodiscard]] AttentionRows run_kernel(const RoundingKernel& kernel,
                                       const RoundingProblem& problem);

}  // namespace apb
