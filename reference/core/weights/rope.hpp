#pragma once
/// \file
/// Rotary position embedding (RoPE, arXiv 2104.09864): frequencies, their scaling for contexts
/// longer than those first trained, and tables of angles. Turning rows by a table is the model's
/// business (model/transformer.hpp, apply_rope).

#include <cassert>
#include <span>
#include <vector>

#include "reference/core/index.hpp"

namespace apb {

/// A change of the RoPE frequencies for contexts longer than those first trained: Llama 3's, or a
/// divisor for every frequency (linear scaling, YaRN, and what GGUF files hold of Llama 3's).
/// Llama 3's, with wavelengths w = 2 pi / frequency: unchanged if w < original_context_len /
/// high_freq_factor, divided by `factor` if w > original_context_len / low_freq_factor, mixed
/// between.
struct RopeScaling {
  double factor = 1;  ///< 1: not Llama 3's
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_context_len = 8192;
  std::vector<double> divisors{};  ///< [head_dim / 2], or empty: not by divisors
  double magnitude = 1;            ///< what cosines and sines are multiplied by (YaRN)
};

/// The frequency that a model with Llama 3's scaling uses instead of `frequency` (radians a token).
[[nodiscard]] double scaled_frequency(double frequency, const RopeScaling& scaling);

/// Cosines and sines for a list of positions, half-split layout: element i turns with
/// i + head_dim / 2 by the angle position * theta^(-2 i / head_dim), after scaling, and grows by
/// the scaling's magnitude. Angles are computed in double, whatever Scalar is.
template <class Scalar>
class RopeTable {
 public:
  RopeTable(std::span<const Index> positions, Index head_dim, double theta,
            const RopeScaling& scaling);

  [[nodiscard]] Index rows() const { return rows_; }
  /// Angles of a row: head_dim / 2.
  [[nodiscard]] Index pairs() const { return pairs_; }
  [[nodiscard]] Scalar cosine(Index row, Index pair) const { return cosine_[at(row, pair)]; }
  [[nodiscard]] Scalar sine(Index row, Index pair) const { return sine_[at(row, pair)]; }

 private:
  [[nodiscard]] std::size_t at(Index row, Index pair) const {
    assert(row >= 0 && row < rows_ && pair >= 0 && pair < pairs_);
    return static_cast<std::size_t>(row * pairs_ + pair);
  }

  Index rows_;
  Index pairs_;
  std::vector<Scalar> cosine_;  ///< [rows, pairs]
  std::vector<Scalar> sine_;    ///< [rows, pairs]
};

}  // namespace apb
