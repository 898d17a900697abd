#pragma once
/// \file
/// Joins attention over disjoint parts of the keys into attention over all of them.

#include <span>

#include "reference/attention/attention.hpp"

namespace apb {

/// lse = log(sum exp(lse_i)), out = sum exp(lse_i - lse) out_i, shifted by the largest lse.
///
/// A partial row with lse = -inf (it saw nothing) changes nothing, whatever its out; if no part saw
/// anything the result is out = 0, lse = -inf. NaN or +inf in an lse gives NaN.
/// Order matters only to rounding; callers keep ranks ascending so that results are reproducible.
///
/// \param parts at least one; all of the same shape
/// \throws std::invalid_argument if there is none or shapes differ
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> merge_partials(
    std::span<const AttentionPartial<Scalar>> parts);

}  // namespace apb
