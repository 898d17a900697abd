#pragma once
/// \file
/// What the selection kernel is given: checked shapes, entries as bytes.

#include <cuda_runtime_api.h>

#include <cstdint>

#include "reference/core/index.hpp"

namespace apb::cuda {

/// Keys or values of one KV head after the other, rows as pieces of 16 bytes.
struct EntryRows {
  const uint4* first;
  std::int64_t row_stride, head_stride;  ///< in pieces
};

template <class Score>
struct SelectArguments {
  const Score* importance;
  std::int64_t importance_stride;
  int candidates, num_kept, capacity, num_kv_heads;
  int pieces;  ///< of 16 bytes in a row
  EntryRows key, value;
  uint4* send_buffer;
  Index first_doc_pos;
  Index* positions;
  Index* nan_counts;
};

/// Enqueues the kernel for one type of importance.
template <class Score>
void launch_select(const SelectArguments<Score>& arguments, cudaStream_t stream);

}  // namespace apb::cuda
