#pragma once
/// \file
/// The memory that a plug-in's caller and its process share: one call with all tensors, surrounded
/// by NaN.

#include <cstddef>
#include <string>
#include <vector>

#include "reference/core/apb_plugin.h"
#include "reference/core/case/case_file.hpp"
#include "reference/core/heads_tensor.hpp"

namespace apb {

/// A file in memory that another process can map; unmapped and closed with this object.
class SharedMemory {
 public:
  /// New memory. \throws CannotRun if there is none
  explicit SharedMemory(std::size_t bytes);
  /// Memory that another process made.
  SharedMemory(int descriptor, std::size_t bytes);
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  SharedMemory(SharedMemory&&) = delete;
  SharedMemory& operator=(SharedMemory&&) = delete;
  ~SharedMemory();

  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }
  [[nodiscard]] std::byte* data() const { return data_; }

 private:
  int descriptor_;
  std::size_t bytes_;
  std::byte* data_;
};

/// Where one tensor lies in the memory.
struct TensorPlace {
  std::size_t offset = 0;
  Index batch = 0;
  Index rows = 0;
  Index heads = 0;
  Index head_dim = 0;
  ValueType type = ValueType::kFloat32;

  [[nodiscard]] std::size_t element_bytes() const { return type == ValueType::kFloat32 ? 4 : 2; }
  // Gaps, so that a kernel that ignores a stride reads NaN.
  [[nodiscard]] std::size_t head_stride() const {
    return static_cast<std::size_t>(head_dim + kGap) * element_bytes();
  }
  [[nodiscard]] std::size_t row_stride() const {
    return static_cast<std::size_t>(heads) * head_stride() + kGap * element_bytes();
  }
  [[nodiscard]] std::size_t batch_stride() const {
    return static_cast<std::size_t>(rows + kGapRows) * row_stride();
  }
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(batch) * batch_stride();
  }

  /// Of the first element of a head.
  [[nodiscard]] std::size_t offset_of(Index item, Index row, Index head) const {
    return offset + static_cast<std::size_t>(item) * batch_stride() +
           static_cast<std::size_t>(row) * row_stride() +
           static_cast<std::size_t>(head) * head_stride();
  }

  static constexpr Index kGap = 8;      ///< elements after every head and every row: keeps 16 bytes
  static constexpr Index kGapRows = 3;  ///< rows after every batch item
};

/// Describes a tensor in a call; its pointer is an offset until it is mapped.
void place(const TensorPlace& where, apb_tensor& tensor);

/// Turns the offsets of a call into pointers.
void map_pointers(apb_attention_call& call, std::byte* memory);

void write_tensor(std::byte* memory, const TensorPlace& where, Index batch,
                  const HeadsView<const double>& values);
[[nodiscard]] HeadsTensor<double> read_tensor(const std::byte* memory, const TensorPlace& where,
                                              Index batch);

}  // namespace apb
