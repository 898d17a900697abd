#pragma once
/// \file
/// A model for machines without the real one: seeded random weights over byte tokens. It knows no
/// language; everything else works as with a real model.

#include "reference/core/weights/model_weights.hpp"

namespace apb {

/// The shape of the toy model.
[[nodiscard]] ModelShape toy_shape();

template <class Scalar>
[[nodiscard]] ModelWeights<Scalar> toy_weights(std::uint64_t seed);

}  // namespace apb
