#pragma once
/// \file
/// How case and candidate files keep tensors: reading with every check, writing in the storage type
/// that fits. Used by their readers and writers only.

#include <span>
#include <string>

#include "reference/core/case/case_file.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/matrix.hpp"

namespace apb {

/// A value type that an attribute of the root names. \throws BadInput
[[nodiscard]] ValueType read_value_type(const Hdf5Reader& file, const std::string& attribute);

/// What a dataset is of which parts were never written: refused, or, where its size is known to be
/// right, read as its fill value (usually 0), so that a kernel's lost rows are judged as such.
enum class Unwritten { kRefused, kFilled };

/// [rows, heads, head_dim]. \throws BadInput if the dataset is missing or of another shape or size
[[nodiscard]] HeadsTensor<double> read_heads(const Hdf5Reader& file, const std::string& name,
                                             Index rows, Index heads, Index head_dim,
                                             Unwritten unwritten = Unwritten::kRefused);
/// [rows, columns]. \throws BadInput as read_heads
[[nodiscard]] Matrix<double> read_matrix(const Hdf5Reader& file, const std::string& name,
                                         Index rows, Index columns,
                                         Unwritten unwritten = Unwritten::kRefused);
/// int64 [count]. \throws BadInput as read_heads
[[nodiscard]] std::vector<Index> read_indices(const Hdf5Reader& file, const std::string& name,
                                              Index count);
/// int64 [num_lists, count]. \throws BadInput as read_heads
[[nodiscard]] HeadPositions read_positions(const Hdf5Reader& file, const std::string& name,
                                           Index num_lists, Index count);

/// \throws BadInput naming the first element that is not exactly a number of the format
void require_representable(const Hdf5Reader& file, const std::string& name, ValueType type,
                           const HeadsTensor<double>& tensor);
/// \copydoc require_representable
void require_representable(const Hdf5Reader& file, const std::string& name, ValueType type,
                           const Matrix<double>& matrix);

/// Stored as float64 if that is the format of the values, else as float32.
void write_heads(Hdf5Writer& file, const std::string& name, ValueType type,
                 const HeadsTensor<double>& tensor);
/// \copydoc write_heads
void write_matrix(Hdf5Writer& file, const std::string& name, ValueType type,
                  const Matrix<double>& matrix);
/// int64 [lists, length of each]
void write_positions(Hdf5Writer& file, const std::string& name, const HeadPositions& positions);

/// The values of a tensor or matrix in storage order.
[[nodiscard]] inline std::span<const double> values_of(const HeadsTensor<double>& tensor) {
  return tensor.values();
}
[[nodiscard]] inline std::span<const double> values_of(const Matrix<double>& matrix) {
  return {matrix.data(), static_cast<std::size_t>(matrix.size())};
}

/// "[2, 0, 7]": where an element lies.
[[nodiscard]] std::string element_name(std::span<const Index> shape, Index element);

[[nodiscard]] inline std::string rank_group(int rank) {
  return "/rank_" + std::to_string(rank);
}

}  // namespace apb
