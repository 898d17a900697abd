#pragma once
/// \file
/// Which of a block's entries are kept, and their way into the all-gather's buffer, in one kernel.

#include <cuda_runtime_api.h>

#include "cuda/attention/three_segments.hpp"
#include "cuda/device_heads.hpp"

namespace apb::cuda {

/// The entries that may be kept: the block's rows from the layout's candidate_begin on.
/// \tparam Score float, Bfloat16 or Float16: what importance is stored in
template <class Score, class T>
struct Candidates {
  const Score* importance = nullptr;  ///< [rows, num_kv_heads]
  Index importance_stride = 0;        ///< elements between a row and the next
  KeysAndValues<T> entries;           ///< [rows, num_kv_heads, head_dim], after RoPE
  Index first_doc_pos = 0;            ///< of row 0
};

/// What a rank keeps and sends.
template <class T>
struct KeptEntries {
  Index num_kept = 0;  ///< of each KV head, as the layout has it: at most the number of candidates
  Index capacity = 0;  ///< rows of each KV head in the buffer, on all ranks alike
  T* send_buffer = nullptr;     ///< [2 (key, value)][num_kv_heads][capacity][head_dim]
  Index* positions = nullptr;   ///< [num_kv_heads, num_kept]: doc_pos, ascending
  Index* nan_counts = nullptr;  ///< [num_kv_heads], or null: NaN among the importances

  /// One slice of the gathered buffers, as attention reads it.
  [[nodiscard]] static KeysAndValues<T> slice(const T* buffer, Index num_kept, Index num_kv_heads,
                                              Index head_dim, Index capacity) {
    const auto half = [&](Index which) {
      return DeviceHeads<const T>::heads_first(buffer + which * num_kv_heads * capacity * head_dim,
                                               num_kept, num_kv_heads, head_dim, capacity);
    };
    return {half(0), half(1)};
  }
};

/// Enqueues the selection. Per KV head the num_kept most important candidates are kept: larger
/// importance first, then lower doc_pos; -0 equals +0, NaN comes last. Exact on the bits given, for
/// any distribution of them, and the same on every run. Rows of the buffer beyond num_kept become
/// zero, and every element of the outputs is written.
/// \throws BadInput if a shape does not fit; CudaError if the launch is refused
template <class Score, class T>
void select_and_pack(const Candidates<Score, T>& candidates, const KeptEntries<T>& kept,
                     cudaStream_t stream);

}  // namespace apb::cuda
