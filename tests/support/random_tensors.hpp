#pragma once
/// \file
/// Seeded random inputs: the same on every machine and with every standard library, because only
/// raw outputs of std::mt19937_64 are used.

#include <random>
#include <vector>

#include "reference/core/matrix.hpp"

namespace apb {

class RandomTensors {
 public:
  explicit RandomTensors(std::uint64_t seed) : generator_(seed) {}

  /// Uniform in [-1, 1).
  [[nodiscard]] double uniform();
  /// Uniform in 0 … bound - 1.
  [[nodiscard]] Index below(Index bound);

  /// Elements uniform in [-1, 1).
  template <class Scalar>
  [[nodiscard]] HeadsTensor<Scalar> heads(Index rows, Index num_heads, Index head_dim);
  /// Elements are multiples of 1/8 in [-1, 1]: dot products of up to 1024 of them are exact in
  /// float.
  template <class Scalar>
  [[nodiscard]] HeadsTensor<Scalar> heads_of_eighths(Index rows, Index num_heads, Index head_dim);
  /// Elements uniform in [-1, 1).
  template <class Scalar>
  [[nodiscard]] Matrix<Scalar> matrix(Index rows, Index columns);

  /// Token ids below vocab_size.
  [[nodiscard]] std::vector<int> tokens(Index count, int vocab_size);
  /// `parts` lengths, some of them 0 perhaps, that add up to `total`.
  [[nodiscard]] std::vector<Index> split(Index total, int parts);

 private:
  std::mt19937_64 generator_;
};

}  // namespace apb
