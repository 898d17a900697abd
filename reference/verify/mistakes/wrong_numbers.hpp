#pragma once
/// \file
/// The right keys, turned into wrong numbers: head map, base of the logarithm, scale.

#include "reference/verify/mistakes/mistake_list.hpp"

namespace apb {

/// KV head of a query head by modulo, or by the wrong divisor.
[[nodiscard]] std::vector<Variant> wrong_head_map(const Evidence& evidence);
/// The keys, the values or both of two KV heads swapped.
[[nodiscard]] std::vector<Variant> swapped_heads(const Evidence& evidence);
/// lse as log2.
[[nodiscard]] std::vector<Variant> lse_base_2(const Evidence& evidence);
/// Softmax scale missing, squared, or with a base of exp2 too many or too few.
[[nodiscard]] std::vector<Variant> wrong_scale(const Evidence& evidence);

}  // namespace apb
