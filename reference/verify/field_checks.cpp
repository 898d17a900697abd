#include "reference/verify/field_checks.hpp"

#include <cmath>

namespace apb {

FieldChecks field_checks(const HeadsTensor<double>& out, const HeadsTensor<double>& truth,
                         ValueType type) {
  if (out.values().empty()) {  // nothing is wrong with nothing
    FieldChecks all;
    for (std::size_t i = 0; i < all.size(); ++i) all[i] = {kFieldCheckNames[i], true, 1};
    return all;
  }
  constexpr double kTolerance = 1e-2;  // absolute and relative
  constexpr double kNoZero = 1e-8;     // what keeps relative errors from dividing by 0
  double close = 0;                    // elements, each by its rule
  double near = 0;
  double finite = 0;
  double dot = 0;
  double out_squares = 0;
  double truth_squares = 0;
  for (std::size_t i = 0; i < out.values().size(); ++i) {
    const double a = out.values()[i];
    const double b = round_to(type, truth.values()[i]);
    const double error = std::abs(a - b);
    close += error <= kTolerance + kTolerance * std::abs(b) ? 1 : 0;
    near += error <= kTolerance || error / (std::abs(b) + kNoZero) <= kTolerance ? 1 : 0;
    finite += std::isfinite(a) ? 1 : 0;
    dot += a * b;
    out_squares += a * a;
    truth_squares += b * b;
  }
  const auto count = static_cast<double>(out.values().size());
  const double cosine = dot / std::sqrt(out_squares * truth_squares);
  return {FieldCheck{kFieldCheckNames[0], close == count, close / count},
          FieldCheck{kFieldCheckNames[1], near == count && finite == count, near / count},
          FieldCheck{kFieldCheckNames[2], near >= 0.99 * count, near / count},
          FieldCheck{kFieldCheckNames[3], cosine >= 0.99, cosine}};
}

}  // namespace apb
