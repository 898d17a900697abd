#pragma once
/// \file
/// What others would have said: the checks of an attention kernel that are usual in the field, on
/// the same output. They compare with the reference's output in the case's precision, element by
/// element or all at once; none knows how large a right kernel's error may be, and long attention
/// gives small outputs, so that they pass what lost many keys.

#include <array>
#include <string_view>

#include "reference/core/heads_tensor.hpp"
#include "reference/core/value_type.hpp"

namespace apb {

struct FieldCheck {
  std::string_view name;
  bool pass = false;
  double figure = 0;  ///< what is compared with a limit: a share of elements, or a cosine
};

/// All of them, in the order of `kFieldCheckNames`. With a = candidate, b = reference:
///
///   allclose(1e-2, 1e-2)   |a - b| <= 1e-2 + 1e-2 |b| for every element: torch.allclose with the
///                          tolerances of KernelBench for bfloat16 and float16
///                          (ScalingIntelligence/KernelBench, src/eval.py)
///   flashinfer-bench       no element with both |a - b| > 1e-2 and |a - b| / (|b| + 1e-8) > 1e-2,
///                          and none of a that is NaN or infinite: the default of its evaluator
///                          (flashinfer-ai/flashinfer-bench, bench/utils.py and bench/config.py)
///   99 % within 1e-2       |a - b| <= 1e-2 or |a - b| / (|b| + 1e-8) <= 1e-2 for 99 % of the
///                          elements at least (flashinfer-ai/flashinfer, tests of xqa)
///   cosine >= 0.99         a·b / (|a| |b|) of the whole tensor (the gate of flashinfer's earlier
///                          tests on several GPUs)
using FieldChecks = std::array<FieldCheck, 4>;

inline constexpr std::array<std::string_view, 4> kFieldCheckNames{
    "allclose(1e-2, 1e-2)", "flashinfer-bench", "99 % within 1e-2", "cosine >= 0.99"};

/// \param out   the candidate's
/// \param truth of the same shape; it is rounded first
/// \param type  the case's precision
[[nodiscard]] FieldChecks field_checks(const HeadsTensor<double>& out,
                                       const HeadsTensor<double>& truth, ValueType type);

}  // namespace apb
