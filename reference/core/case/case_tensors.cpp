#include "reference/core/case/case_tensors.hpp"

#include <fmt/ranges.h>

#include <array>
#include <cmath>

#include "reference/core/error.hpp"

namespace apb {
namespace {

std::array<Index, 3> shape_of(const HeadsTensor<double>& tensor) {
  return {tensor.rows(), tensor.heads(), tensor.head_dim()};
}

std::array<Index, 2> shape_of(const Matrix<double>& matrix) {
  return {matrix.rows(), matrix.cols()};
}

void require_representable(const Hdf5Reader& file, const std::string& name, ValueType type,
                           std::span<const Index> shape, std::span<const double> values) {
  for (Index element = 0; element < std::ssize(values); ++element) {
    const double value = values[static_cast<std::size_t>(element)];
    if (round_to(type, value) == value || std::isnan(value)) continue;
    throw BadInput(file.path(), name + element_name(shape, element), value,
                   fmt::format("exactly representable in {} (value_dtype)", to_string(type)));
  }
}

void write_values(Hdf5Writer& file, const std::string& name, ValueType type,
                  std::span<const Index> shape, std::span<const double> values) {
  if (type == ValueType::kFloat64) {
    file.write<double>(name, shape, values);
  } else {
    const std::vector<float> narrow(values.begin(), values.end());
    file.write<float>(name, shape, narrow);
  }
}

}  // namespace

std::string element_name(std::span<const Index> shape, Index element) {
  std::vector<Index> place(shape.size());
  for (std::size_t axis = shape.size(); axis-- > 0; element /= shape[axis]) {
    place[axis] = element % shape[axis];
  }
  return fmt::format("[{}]", fmt::join(place, ", "));
}

ValueType read_value_type(const Hdf5Reader& file, const std::string& attribute) {
  const std::string name = file.string_attribute(attribute);
  for (const ValueType type :
       {ValueType::kFloat64, ValueType::kFloat32, ValueType::kBfloat16, ValueType::kFloat16}) {
    if (to_string(type) == name) return type;
  }
  throw BadInput(file.path(), attribute, name, "one of float64, float32, bfloat16, float16");
}

HeadsTensor<double> read_heads(const Hdf5Reader& file, const std::string& name, Index rows,
                               Index heads, Index head_dim, Unwritten unwritten) {
  const std::array<Index, 3> shape{rows, heads, head_dim};
  if (unwritten == Unwritten::kRefused) file.require_stored(name, shape);
  HeadsTensor<double> tensor(rows, heads, head_dim);
  file.read<double>(name, shape, tensor.values());
  return tensor;
}

Matrix<double> read_matrix(const Hdf5Reader& file, const std::string& name, Index rows,
                           Index columns, Unwritten unwritten) {
  const std::array<Index, 2> shape{rows, columns};
  if (unwritten == Unwritten::kRefused) file.require_stored(name, shape);
  Matrix<double> matrix(rows, columns);
  file.read<double>(name, shape, {matrix.data(), static_cast<std::size_t>(matrix.size())});
  return matrix;
}

std::vector<Index> read_indices(const Hdf5Reader& file, const std::string& name, Index count) {
  const std::array<Index, 1> shape{count};
  file.require_stored(name, shape);
  std::vector<Index> indices(static_cast<std::size_t>(count));
  file.read<Index>(name, shape, indices);
  return indices;
}

HeadPositions read_positions(const Hdf5Reader& file, const std::string& name, Index num_lists,
                             Index count) {
  const std::array<Index, 2> shape{num_lists, count};
  file.require_stored(name, shape);
  std::vector<Index> all(static_cast<std::size_t>(num_lists * count));
  file.read<Index>(name, shape, all);
  HeadPositions positions;
  for (auto first = all.begin(); std::ssize(positions) < num_lists; first += count) {
    positions.emplace_back(first, first + count);
  }
  return positions;
}

void require_representable(const Hdf5Reader& file, const std::string& name, ValueType type,
                           const HeadsTensor<double>& tensor) {
  require_representable(file, name, type, shape_of(tensor), values_of(tensor));
}

void require_representable(const Hdf5Reader& file, const std::string& name, ValueType type,
                           const Matrix<double>& matrix) {
  require_representable(file, name, type, shape_of(matrix), values_of(matrix));
}

void write_heads(Hdf5Writer& file, const std::string& name, ValueType type,
                 const HeadsTensor<double>& tensor) {
  write_values(file, name, type, shape_of(tensor), values_of(tensor));
}

void write_matrix(Hdf5Writer& file, const std::string& name, ValueType type,
                  const Matrix<double>& matrix) {
  write_values(file, name, type, shape_of(matrix), values_of(matrix));
}

void write_positions(Hdf5Writer& file, const std::string& name, const HeadPositions& positions) {
  std::vector<Index> all;
  for (const auto& list : positions) all.insert(all.end(), list.begin(), list.end());
  const Index count = positions.empty() ? 0 : std::ssize(positions.front());
  file.write<Index>(name, std::array{std::ssize(positions), count}, all);
}

}  // namespace apb
