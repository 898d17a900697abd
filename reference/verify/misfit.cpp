#include "reference/verify/misfit.hpp"

#include <algorithm>
#include <cmath>

namespace apb {

void Misfit::add(double error) {
  const double far = error <= kVeryFar ? error : kVeryFar;  // NaN too
  worst_ = std::max(worst_, far);
  sum_of_squares_ += far * far;
  ++count_;
}

double Misfit::rms() const {
  return count_ == 0 ? 0 : std::sqrt(sum_of_squares_ / static_cast<double>(count_));
}

bool explains(const Misfit& with, const Misfit& without) {
  const double share = with.worst() <= 1 ? 1.0 / 3 : 1.0 / 30;
  return without.count() > 0 && with.rms() <= share * without.rms();
}

bool keeps_right(const Misfit& with) {
  return with.worst() <= 2;
}

}  // namespace apb
