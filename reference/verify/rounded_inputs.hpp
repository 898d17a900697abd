#pragma once
/// \file
/// Attention on inputs that a kernel rounds before it begins: right, but of another case.

#include "reference/core/value_type.hpp"
#include "reference/verify/attention_setup.hpp"

namespace apb {

/// Whether a kernel that computes in one type has to round inputs of another.
[[nodiscard]] bool rounds_inputs(ValueType compute_type, ValueType input_type);

/// The same attention with query, keys and values rounded to a type.
[[nodiscard]] AttentionSetup with_rounded_inputs(const AttentionSetup& setup, ValueType type);

}  // namespace apb
