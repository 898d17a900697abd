#pragma once
/// \file
/// The kernel of gather_rows.hpp, behind checks of what it is given.

#include "cuda/model/gather_rows.hpp"

namespace apb::cuda {

/// \param rows in device memory
template <class T>
void launch_gather(const DeviceRows<const T>& table, const Index* rows, const DeviceRows<T>& out,
                   cudaStream_t stream);

}  // namespace apb::cuda
