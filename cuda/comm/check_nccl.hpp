#pragma once
/// \file
/// NCCL's results as exceptions.

#include <fmt/format.h>
#include <nccl.h>

#include "cuda/error.hpp"

namespace apb::cuda {

/// \throws LibraryError with NCCL's words and the place of the call
inline void check_nccl(ncclResult_t status,
                       const std::source_location& where = std::source_location::current()) {
  if (status == ncclSuccess) return;
  throw LibraryError(
      "NCCL", fmt::format("{} ({})", ncclGetErrorString(status), ncclGetLastError(nullptr)), where);
}

/// Calls between begin and end are one: NCCL starts them together.
class NcclGroup {
 public:
  NcclGroup() { check_nccl(ncclGroupStart()); }
  NcclGroup(const NcclGroup&) = delete;
  NcclGroup& operator=(const NcclGroup&) = delete;
  NcclGroup(NcclGroup&&) = delete;
  NcclGroup& operator=(NcclGroup&&) = delete;
  ~NcclGroup() {
    if (open_) ncclGroupEnd();
  }
  void end() {
    open_ = false;
    check_nccl(ncclGroupEnd());
  }

 private:
  bool open_ = true;
};

}  // namespace apb::cuda
