#pragma once
/// \file
/// What closed forms of work are made of (layer_work.hpp). Every product is checked: lengths of a
/// made-up system must not overflow into a plausible number.

#include <initializer_list>
#include <vector>

#include "reference/core/plans/layer_work.hpp"

namespace apb {

/// Pairs of `rows` causal rows: 1 + 2 + … + rows.
[[nodiscard]] constexpr Index triangle(Index rows) {
  return rows * (rows + 1) / 2;
}

/// The product of all factors.
/// \throws BadInput if it does not fit 62 bits (a sum of two of them still fits 63)
[[nodiscard]] Index checked_product(const ApbConfig& config, std::initializer_list<Index> factors);

/// Work of a rank that computes `rows` rows and sees `pairs` (row, key) pairs with `num_q_heads`:
/// attention and projections.
[[nodiscard]] Counters rows_work(const ApbConfig& config, Index rows, Index num_q_heads,
                                 Index pairs, const LayerSizes& sizes);

/// Bytes of keys and values of some rows.
[[nodiscard]] Index key_value_bytes(const ApbConfig& config, Index rows, Index element_bytes);

/// Adds an all-gather: everybody receives what all others give.
void add_all_gather(const ApbConfig& config, const std::vector<Index>& own_bytes,
                    std::vector<Counters>& work);

}  // namespace apb
