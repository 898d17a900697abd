#pragma once
/// \file
/// What kernels that copy in pieces of 16 bytes ask of the tensors that they are given.

#include <cstdint>
#include <string_view>

#include "cuda/device_heads.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {

/// \throws BadInput unless every row of two-byte elements begins at a multiple of 16 bytes
/// \param where,name what the line calls the call and its tensor
template <class T>
void require_pieces_of_16_bytes(std::string_view where, std::string_view name,
                                const DeviceHeads<T>& tensor) {
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
  if (tensor.rows > 0 && (address == 0 || address % 16 != 0)) {
    throw BadInput(where, fmt::format("{} address", name), address, "a multiple of 16");
  }
  for (const Index stride : {tensor.row_stride, tensor.head_stride}) {
    if (stride % 8 != 0) {
      throw BadInput(where, fmt::format("{} stride", name), stride, "a multiple of 8 elements");
    }
  }
}

}  // namespace apb::cuda
