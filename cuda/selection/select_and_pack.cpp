#include "cuda/selection/select_and_pack.hpp"

#include <limits>

#include "cuda/selection/select_kernel.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

constexpr const char* kWhere = "cuda selection";
constexpr Index kMaxRows = (Index{1} << 31) - 4096;  ///< rows are counted in 32 bits
constexpr Index kPieceBytes = sizeof(uint4);

/// \throws BadInput unless 0 <= value <= most
void check_count(const char* name, Index value, Index most) {
  if (value < 0 || value > most) throw BadInput(kWhere, name, value, fmt::format("0 to {}", most));
}

template <class T>
void check_entries(const char* name, const DeviceHeads<const T>& entries,
                   const DeviceHeads<const T>& like) {
  if (entries.rows != like.rows || entries.heads != like.heads ||
      entries.head_dim != like.head_dim) {
    throw BadInput(kWhere, fmt::format("{} shape", name),
                   fmt::format("{} x {} x {}", entries.rows, entries.heads, entries.head_dim),
                   fmt::format("{} x {} x {}", like.rows, like.heads, like.head_dim));
  }
  const Index elements = kPieceBytes / static_cast<Index>(sizeof(T));
  for (const Index count : {entries.head_dim, entries.row_stride, entries.head_stride}) {
    if (count % elements != 0) {
      throw BadInput(kWhere, fmt::format("{} head_dim or stride", name), count,
                     fmt::format("a multiple of {}", elements));
    }
  }
  const auto address = reinterpret_cast<std::uintptr_t>(entries.data);
  if (address % kPieceBytes != 0) {
    throw BadInput(kWhere, fmt::format("{} address", name), address, "a multiple of 16");
  }
}

template <class T>
EntryRows entry_rows(const DeviceHeads<const T>& entries) {
  const Index elements = kPieceBytes / static_cast<Index>(sizeof(T));
  return {reinterpret_cast<const uint4*>(entries.data), entries.row_stride / elements,
          entries.head_stride / elements};
}

}  // namespace

template <class Score, class T>
void select_and_pack(const Candidates<Score, T>& candidates, const KeptEntries<T>& kept,
                     cudaStream_t stream) {
  const DeviceHeads<const T>& key = candidates.entries.key;
  check_count("candidates", key.rows, kMaxRows);
  check_count("num_kept", kept.num_kept, key.rows);
  check_count("capacity", kept.capacity, kMaxRows);
  if (kept.num_kept > kept.capacity) {
    throw BadInput(kWhere, "num_kept", kept.num_kept,
                   fmt::format("at most the capacity, {}", kept.capacity));
  }
  if (key.heads < 1 || key.heads > 65535) {
    throw BadInput(kWhere, "KV heads", key.heads, "1 to 65535");
  }
  check_entries("key", key, key);
  check_entries("value", candidates.entries.value, key);
  if (kept.capacity == 0 && kept.nan_counts == nullptr) return;

  SelectArguments<Score> arguments{};
  arguments.importance = candidates.importance;
  arguments.importance_stride = candidates.importance_stride;
  arguments.candidates = static_cast<int>(key.rows);
  arguments.num_kept = static_cast<int>(kept.num_kept);
  arguments.capacity = static_cast<int>(kept.capacity);
  arguments.num_kv_heads = static_cast<int>(key.heads);
  arguments.pieces = static_cast<int>(key.head_dim * static_cast<Index>(sizeof(T)) / kPieceBytes);
  arguments.key = entry_rows(key);
  arguments.value = entry_rows(candidates.entries.value);
  arguments.send_buffer = reinterpret_cast<uint4*>(kept.send_buffer);
  arguments.first_doc_pos = candidates.first_doc_pos;
  arguments.positions = kept.positions;
  arguments.nan_counts = kept.nan_counts;
  launch_select(arguments, stream);
}

template void select_and_pack(const Candidates<float, Bfloat16>&, const KeptEntries<Bfloat16>&,
                              cudaStream_t);
template void select_and_pack(const Candidates<float, Float16>&, const KeptEntries<Float16>&,
                              cudaStream_t);
template void select_and_pack(const Candidates<Bfloat16, Bfloat16>&, const KeptEntries<Bfloat16>&,
                              cudaStream_t);
template void select_and_pack(const Candidates<Bfloat16, Float16>&, const KeptEntries<Float16>&,
                              cudaStream_t);
template void select_and_pack(const Candidates<Float16, Bfloat16>&, const KeptEntries<Bfloat16>&,
                              cudaStream_t);
template void select_and_pack(const Candidates<Float16, Float16>&, const KeptEntries<Float16>&,
                              cudaStream_t);

}  // namespace apb::cuda
