#include "reference/attention/merge.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace apb {
namespace {

template <class Scalar>
using RowMap = Eigen::Map<Eigen::Array<Scalar, Eigen::Dynamic, 1>>;
template <class Scalar>
using ConstRowMap = Eigen::Map<const Eigen::Array<Scalar, Eigen::Dynamic, 1>>;

/// Merges one (row, head). \returns its lse; adds into out, which is zero before
template <class Scalar>
Scalar merge_row(std::span<const AttentionPartial<Scalar>> parts, Index row, Index head,
                 RowMap<Scalar> out) {
  constexpr Scalar kNothing = -std::numeric_limits<Scalar>::infinity();
  Scalar max = kNothing;
  for (const auto& part : parts) max = std::max(max, part.lse(row, head));
  const Scalar shift = max == kNothing ? Scalar{0} : max;

  Scalar weight_sum = 0;
  for (const auto& part : parts) {
    const Scalar lse = part.lse(row, head);
    if (lse == kNothing) continue;
    const Scalar weight = std::exp(lse - shift);
    weight_sum += weight;
    const Scalar* part_out = part.out.view().at(row, head);
    out += weight * ConstRowMap<Scalar>(part_out, out.size());
  }
  if (weight_sum == Scalar{0}) return kNothing;
  out /= weight_sum;
  return shift + std::log(weight_sum);
}

}  // namespace

template <class Scalar>
AttentionPartial<Scalar> merge_partials(std::span<const AttentionPartial<Scalar>> parts) {
  if (parts.empty()) throw std::invalid_argument("merge_partials: nothing to merge");
  const HeadsTensor<Scalar>& shape = parts.front().out;
  for (const auto& part : parts) {
    if (part.out.rows() != shape.rows() || part.out.heads() != shape.heads() ||
        part.out.head_dim() != shape.head_dim()) {
      throw std::invalid_argument("merge_partials: shapes differ");
    }
  }
  AttentionPartial<Scalar> merged(shape.rows(), shape.heads(), shape.head_dim());
  for (Index row = 0; row < shape.rows(); ++row) {
    for (Index head = 0; head < shape.heads(); ++head) {
      RowMap<Scalar> out(merged.out.view().at(row, head), shape.head_dim());
      merged.lse(row, head) = merge_row(parts, row, head, out);
    }
  }
  return merged;
}

template AttentionPartial<float> merge_partials(std::span<const AttentionPartial<float>>);
template AttentionPartial<double> merge_partials(std::span<const AttentionPartial<double>>);

}  // namespace apb
