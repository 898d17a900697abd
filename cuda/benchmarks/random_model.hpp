#pragma once
/// \file
/// Models for benchmarks: real shapes, random weights.

#include "cuda/model/device_model.hpp"

namespace apb::cuda {

/// A model of random weights (normal, of a standard deviation that keeps activations near 1), for
/// benchmarks: made on the device, the same for the same seed.
/// \param num_layers        layers to make, at most those of the shape
/// \param retaining_hidden  units of its retaining heads; 0: none
[[nodiscard]] DeviceModel<Bfloat16> random_model(const ModelShape& shape, Index num_layers,
                                                 Index retaining_hidden, std::uint64_t seed,
                                                 cudaStream_t stream);

}  // namespace apb::cuda
