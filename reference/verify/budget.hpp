#pragma once
/// \file
/// The error budget: how far out and lse of a low-precision candidate may be from the double
/// reference on the same inputs (docs/contracts.md, "Numerical contract").
///
///   plain   the error, in the norm in question, of the emulation `plain_attention`; twice that,
///           because a right kernel rounds elsewhere: it rescales, splits the keys, sums in tiles
///   u       of the output type: 2^-9 bf16, 2^-12 fp16, 2^-24 fp32 (and fp64). One rounding
///           costs at most 2^-8, 2^-11, 2^-24; plain, which rounds too, has the rest
///   S       max(1, largest |scaled score|) over the visible pairs of the judged rows
///   w       u + 2^-22 S
///
///   out, max error            <= 2 plain + w max|ref|
///   out, relative Frobenius   <= 2 plain + w
///   out, worst row            <= 2 plain + w     max over rows and heads of |e|_2 / |ref|_2
///   lse, max error            <= 2 plain + 2^-21 S
///
/// The powers of two are roundings of fp32, 2^-24 each at worst, of what plain does not compute.
/// A kernel that works in base 2 rounds softmax_scale log2(e), its product with a dot product, the
/// difference to the maximum, and the maximum: four times 2^-24 S = 2^-22 S. An error e in a score
/// multiplies its weight by 1 + e, so that out is off by about e, relatively. lse adds to the same
/// four that of the sum's logarithm, its own, ln 2 and the product with ln 2: 2^-21 S.
///
/// Rows whose reference is zero must match exactly (their error is infinite otherwise). Where the
/// reference is NaN, so must the candidate be, and where it is infinite, equal to it; these
/// elements count in no norm. Every check is `error <= tolerance`, so that NaN fails; a tolerance
/// that is not finite fails too.

#include "reference/core/matrix.hpp"
#include "reference/verify/truth.hpp"

namespace apb {

/// Where an error is largest, and the two values. element is -1 where a whole row is meant.
struct WorstPlace {
  Index row = -1;   ///< of the rank's rows
  Index head = -1;  ///< query head
  Index element = -1;
  double candidate = 0;
  double reference = 0;
};

/// An error in one norm.
struct NormError {
  double error = 0;
  WorstPlace worst;
};

/// All that is measured of attention rows. NaN or infinity where a value is one and should not be.
struct AttentionErrors {
  NormError max;
  NormError frobenius;  ///< its worst place is that of `max`
  NormError worst_row;
  NormError lse;
};

/// Errors of out, [rows, heads, head_dim], and lse, [rows, heads], against a reference of the same
/// rows and heads. An empty tensor or matrix is not measured.
/// \throws std::invalid_argument if another shape is given
[[nodiscard]] AttentionErrors attention_errors(const HeadsTensor<double>& out,
                                               const Matrix<double>& lse,
                                               const AttentionRows& reference);

/// |a - b| with the rules above: 0 where both are NaN or equal.
[[nodiscard]] double element_error(double candidate, double reference);

/// Relative error of one (row, head) of out: |e|_2 / |ref|_2; infinite if only the reference is 0.
[[nodiscard]] double row_error(const double* candidate, const double* reference, Index head_dim);

struct Tolerances {
  double max = 0;
  double frobenius = 0;
  double worst_row = 0;
  double lse = 0;
};

/// \param reference the double reference
/// \param plain     plain_attention of the same rows, in the candidate's types
[[nodiscard]] Tolerances attention_tolerances(const AttentionRows& reference,
                                              const AttentionRows& plain, ValueType out_type);

/// u of the list above.
[[nodiscard]] double unit_roundoff(ValueType type);

/// error <= tolerance, with both finite.
[[nodiscard]] bool within(double error, double tolerance);

}  // namespace apb
