#pragma once
/// \file
/// Attention as one would write it on a blackboard: a loop over rows, heads and visible keys, in
/// double. Shares nothing with reference/attention but the types.

#include <functional>
#include <span>
#include <vector>

#include "reference/attention/attention.hpp"
#include "reference/core/heads_tensor.hpp"

namespace apb {

/// One key of one KV head with its value, [head_dim] each.
template <class Scalar>
struct NaiveKey {
  const Scalar* key = nullptr;
  const Scalar* value = nullptr;
};

/// Softmax attention of one query over a list of keys. No keys: out = 0, lse = -inf.
/// \param out [head_dim], overwritten
/// \returns lse
template <class Scalar>
double naive_attend_row(const Scalar* query, const std::vector<NaiveKey<Scalar>>& keys,
                        Index head_dim, double softmax_scale, std::span<double> out);

/// One row's attention.
struct NaiveRow {
  std::vector<double> out;  ///< [head_dim]
  double lse = 0;
};

/// As naive_attend_row.
template <class Scalar>
[[nodiscard]] NaiveRow naive_row(const Scalar* query, const std::vector<NaiveKey<Scalar>>& keys,
                                 Index head_dim, double softmax_scale) {
  NaiveRow row{std::vector<double>(static_cast<std::size_t>(head_dim)), 0};
  row.lse = naive_attend_row<Scalar>(query, keys, head_dim, softmax_scale, row.out);
  return row;
}

/// What attend() should give.
template <class Scalar>
[[nodiscard]] AttentionPartial<double> naive_attend(const HeadsView<const Scalar>& query,
                                                    std::span<const KeySegment<Scalar>> segments,
                                                    double softmax_scale);

/// Bounds on the rounding of attend<Scalar>: eps times the number of roundings on the way, none of
/// them smaller than assumed. A wrong or missing key costs far more.
struct AttentionTolerance {
  double out = 0;
  double lse = 0;
};

/// \param num_keys  most keys that a row sees
/// \param max_score largest |scale * sum_i |q_i k_i||, which bounds scores and their partial sums
/// \param max_value largest |value|
template <class Scalar>
[[nodiscard]] AttentionTolerance attention_tolerance(Index head_dim, Index num_keys,
                                                     double max_score, double max_value);

}  // namespace apb
