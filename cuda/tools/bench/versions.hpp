#pragma once
/// \file
/// What a measurement depends on beside the GPU.

#include <string>

namespace apb::cuda {

/// "driver 580.159.04, CUDA 13.0, cuBLASLt 13.1.0"; the driver's if the system tells it.
[[nodiscard]] std::string versions();

/// "2026-11-26", UTC.
[[nodiscard]] std::string today();

}  // namespace apb::cuda
