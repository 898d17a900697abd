#pragma once
/// \file
/// The steps of a transformer layer between matrix products. T is Bfloat16 or Float16; every step
/// computes in fp32 and rounds once.

#include <cuda_runtime_api.h>

#include "cuda/device_heads.hpp"
#include "cuda/device_rows.hpp"

namespace apb::cuda {

/// Enqueues out = x / sqrt(mean of x^2 + eps) * weight, row by row. out may be x.
/// \param weight [columns]
/// \throws BadInput if shapes differ; CudaError if the launch is refused
template <class T>
void rms_norm(const DeviceRows<const T>& x, const T* weight, double eps, const DeviceRows<T>& out,
              cudaStream_t stream);

/// Enqueues out = silu(gate) * up, silu(x) = x / (1 + exp(-x)). out may be gate or up.
/// \throws BadInput if shapes differ; CudaError if the launch is refused
template <class T>
void swiglu(const DeviceRows<const T>& gate, const DeviceRows<const T>& up,
            const DeviceRows<T>& out, cudaStream_t stream);

/// Turns every head of every row in place, half-split layout: element i with i + head_dim / 2, by
/// the row's i-th angle. \param cosine,sine [rows, head_dim / 2] fp32, rounded from angles in fp64
/// (core's RopeTable): fp32
///                    angles are off by 1e-2 at position 131,071
/// \throws BadInput if head_dim is odd; CudaError if the launch is refused
template <class T>
void apply_rope(const DeviceHeads<T>& heads, const float* cosine, const float* sine,
                cudaStream_t stream);

}  // namespace apb::cuda
