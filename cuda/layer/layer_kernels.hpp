#pragma once
/// \file
/// The kernels of layer_steps.hpp, behind checks of what they are given. There is at least one row
/// and one column.

#include "cuda/layer/layer_steps.hpp"

namespace apb::cuda {

template <class T>
void launch_rms_norm(const DeviceRows<const T>& x, const T* weight, float eps,
                     const DeviceRows<T>& out, cudaStream_t stream);
template <class T>
void launch_swiglu(const DeviceRows<const T>& gate, const DeviceRows<const T>& up,
                   const DeviceRows<T>& out, cudaStream_t stream);
template <class T>
void launch_rope(const DeviceHeads<T>& heads, const float* cosine, const float* sine,
                 cudaStream_t stream);

}  // namespace apb::cuda
