#include "reference/core/weights/rope.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace apb {

double scaled_frequency(double frequency, const RopeScaling& scaling) {
  if (scaling.factor == 1) return frequency;
  const double wavelength = 2 * std::numbers::pi / frequency;
  // How many wavelengths fit into the first trained context, seen between the two factors.
  const double turns = scaling.original_context_len / wavelength;
  const double kept = std::clamp(
      (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor), 0.0,
      1.0);
  return kept * frequency + (1 - kept) * frequency / scaling.factor;
}

template <class Scalar>
RopeTable<Scalar>::RopeTable(std::span<const Index> positions, Index head_dim, double theta,
                             const RopeScaling& scaling)
    : rows_(std::ssize(positions)), pairs_(head_dim / 2) {
  std::vector<double> frequencies;
  assert(scaling.divisors.empty() || std::ssize(scaling.divisors) == pairs_);
  for (Index i = 0; i < pairs_; ++i) {
    const double frequency =
        std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    frequencies.push_back(scaling.divisors.empty()
                              ? scaled_frequency(frequency, scaling)
                              : frequency / scaling.divisors[static_cast<std::size_t>(i)]);
  }
  for (const Index position : positions) {
    for (const double frequency : frequencies) {
      const double angle = static_cast<double>(position) * frequency;
      cosine_.push_back(static_cast<Scalar>(scaling.magnitude * std::cos(angle)));
      sine_.push_back(static_cast<Scalar>(scaling.magnitude * std::sin(angle)));
    }
  }
}

template class RopeTable<float>;
template class RopeTable<double>;

}  // namespace apb
