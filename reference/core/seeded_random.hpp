#pragma once
/// \file
/// Seeded random numbers that are the same on every machine and with every standard library,
/// because only raw outputs of std::mt19937_64 are used.

#include <random>

#include "reference/core/index.hpp"

namespace apb {

class SeededRandom {
 public:
  explicit SeededRandom(std::uint64_t seed) : generator_(seed) {}

  /// Uniform in [-1, 1).
  [[nodiscard]] double uniform() {
    return static_cast<double>(generator_() >> 11U) * 0x1.0p-52 - 1.0;
  }

  /// One of 0 … bound - 1, evenly but for a bias below bound / 2^64.
  [[nodiscard]] Index below(Index bound) {
    return static_cast<Index>(generator_() % static_cast<std::uint64_t>(bound));
  }

  /// Mean 0, variance 1, bell-shaped, at most 3.5 from 0: the sum of four uniform numbers, scaled.
  [[nodiscard]] double bell() {
    constexpr double kScale = 0.8660254037844386;  // a sum of four has variance 4/3
    return (uniform() + uniform() + uniform() + uniform()) * kScale;
  }

 private:
  std::mt19937_64 generator_;
};

}  // namespace apb
