#pragma once
/// \file
/// When a mistake is the cause of an error: with it, far less is left of the error than without.
///
/// What fails is off by one budget at least. What a right kernel leaves, its rounding, is a third
/// of a budget or less in the mean. So the true cause leaves a third of the error at most, and
/// nothing over its budget. A mistake that leaves more has not found all of the cause, or has found
/// another one that happens to lie near. A kernel may also be wrong twice (a mask, and its
/// precision): then what is left is over its budget, and a mistake is named if it leaves a tenth.

#include "reference/core/index.hpp"

namespace apb {

/// How far a result is from what it is held against: the truth, or what a mistake would give.
class Misfit {
 public:
  /// \param error in units of its budget; NaN and infinity count as very far
  void add(double error);

  [[nodiscard]] double worst() const { return worst_; }  ///< 0 if nothing was added
  [[nodiscard]] double rms() const;                      ///< 0 if nothing was added
  [[nodiscard]] Index count() const { return count_; }

 private:
  double worst_ = 0;
  double sum_of_squares_ = 0;
  Index count_ = 0;
};

/// What stands for an error that is no number.
inline constexpr double kVeryFar = 1e9;

/// Whether a mistake explains an error, by the rule above.
/// \param with    of what fails, against what the mistake would give
/// \param without of the same against the truth
[[nodiscard]] bool explains(const Misfit& with, const Misfit& without);

/// Whether what is right stays right under a mistake: it is at most one budget off the truth, so at
/// most two off what a mistake gives that changes it by less than fails.
/// \param with of what does not fail, against what the mistake would give
[[nodiscard]] bool keeps_right(const Misfit& with);

}  // namespace apb
