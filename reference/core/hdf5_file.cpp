#include "reference/core/hdf5_file.hpp"

#include <hdf5.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>

#include "reference/core/error.hpp"

namespace apb {
namespace {

static_assert(std::is_same_v<hid_t, std::int64_t>);

template <class T>
hid_t native_type() {
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
}

/// Whether values of a type may be read as T without loss of meaning: integers as numbers, but no
/// fractions as integers.
template <class T>
bool readable_as(hid_t type) {
  const H5T_class_t found = H5Tget_class(type);
  return found == H5T_INTEGER || (found == H5T_FLOAT && std::is_floating_point_v<T>);
}

Index product(std::span<const Index> shape) {
  return std::accumulate(shape.begin(), shape.end(), Index{1}, std::multiplies<>());
}

std::string describe(std::span<const Index> shape) {
  return fmt::format("shape [{}]", fmt::join(shape, ", "));
}

Hdf5Id open_file(const std::string& path) {
  silence_hdf5();
  if (!std::filesystem::is_regular_file(path)) throw BadInput(path + ": no such file");
  Hdf5Id file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.valid()) throw BadInput(path + ": not an HDF5 file, or truncated");
  return file;
}

Hdf5Id open_attribute(hid_t file, const std::string& path, const std::string& name) {
  Hdf5Id attribute(H5Aopen(file, name.c_str(), H5P_DEFAULT), H5Aclose);
  if (!attribute.valid()) throw BadInput(fmt::format("{}: attribute {} is missing", path, name));
  return attribute;
}

template <class T>
T scalar_attribute(hid_t file, const std::string& path, const std::string& name,
                   const char* allowed) {
  const Hdf5Id attribute = open_attribute(file, path, name);
  const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
  const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
  T value{};
  if (H5Sget_simple_extent_npoints(space.get()) != 1 || !readable_as<T>(type.get()) ||
      H5Aread(attribute.get(), native_type<T>(), &value) < 0) {
    throw BadInput(fmt::format("{}: attribute {}: must be {}", path, name, allowed));
  }
  return value;
}

std::vector<Index> dataset_shape(hid_t dataset) {
  const Hdf5Id space(H5Dget_space(dataset), H5Sclose);
  std::vector<hsize_t> dims(
      static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.get()))));
  H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr);
  return {dims.begin(), dims.end()};
}

}  // namespace

void silence_hdf5() {
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

Hdf5Id::~Hdf5Id() {
  if (id_ >= 0) close_(id_);
}

Hdf5Reader::Hdf5Reader(const std::string& path) : path_(path), file_(open_file(path)) {}

bool Hdf5Reader::has(const std::string& name) const {
  // H5Lexists needs every parent to exist.
  for (std::size_t slash = name.find('/', 1);; slash = name.find('/', slash + 1)) {
    if (H5Lexists(file_.get(), name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
    if (slash == std::string::npos) return true;
  }
}

bool Hdf5Reader::has_attribute(const std::string& name) const {
  return H5Aexists(file_.get(), name.c_str()) > 0;
}

std::int64_t Hdf5Reader::int_attribute(const std::string& name) const {
  return scalar_attribute<std::int64_t>(file_.get(), path_, name, "one integer");
}

double Hdf5Reader::double_attribute(const std::string& name) const {
  return scalar_attribute<double>(file_.get(), path_, name, "one number");
}

std::string Hdf5Reader::string_attribute(const std::string& name) const {
  const Hdf5Id attribute = open_attribute(file_.get(), path_, name);
  const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
  const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
  const bool fixed = H5Tget_class(type.get()) == H5T_STRING && H5Tis_variable_str(type.get()) == 0;
  if (!fixed || H5Sget_simple_extent_npoints(space.get()) != 1) {
    throw BadInput(
        fmt::format("{}: attribute {}: must be one string of fixed length", path_, name));
  }
  std::string value(H5Tget_size(type.get()), '\0');
  if (H5Aread(attribute.get(), type.get(), value.data()) < 0) {
    throw BadInput(fmt::format("{}: attribute {}: cannot be read", path_, name));
  }
  return value.substr(0, value.find('\0'));
}

std::vector<Index> Hdf5Reader::shape(const std::string& dataset) const {
  const Hdf5Id id(H5Dopen2(file_.get(), dataset.c_str(), H5P_DEFAULT), H5Dclose);
  if (!id.valid()) throw BadInput(fmt::format("{}: dataset {} is missing", path_, dataset));
  return dataset_shape(id.get());
}

void Hdf5Reader::require_shape(const std::string& dataset,
                               std::span<const Index> expected_shape) const {
  const std::vector<Index> found = shape(dataset);
  if (!std::ranges::equal(found, expected_shape)) {
    throw BadInput(path_, dataset, describe(found), describe(expected_shape));
  }
}

template <class T>
void Hdf5Reader::read(const std::string& dataset, std::span<const Index> expected_shape,
                      std::span<T> values) const {
  require_shape(dataset, expected_shape);
  if (product(expected_shape) != std::ssize(values)) {
    throw std::invalid_argument("Hdf5Reader: room differs from shape");
  }
  const Hdf5Id id(H5Dopen2(file_.get(), dataset.c_str(), H5P_DEFAULT), H5Dclose);
  const Hdf5Id type(H5Dget_type(id.get()), H5Tclose);
  if (!readable_as<T>(type.get())) {
    throw BadInput(fmt::format("{}: dataset {}: must hold {}", path_, dataset,
                               std::is_floating_point_v<T> ? "numbers" : "integers"));
  }
  if (H5Dread(id.get(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    throw BadInput(fmt::format("{}: dataset {}: cannot be read (truncated?)", path_, dataset));
  }
}

template void Hdf5Reader::read(const std::string&, std::span<const Index>, std::span<float>) const;
template void Hdf5Reader::read(const std::string&, std::span<const Index>, std::span<double>) const;
template void Hdf5Reader::read(const std::string&, std::span<const Index>,
                               std::span<std::int64_t>) const;
template void Hdf5Reader::read(const std::string&, std::span<const Index>,
                               std::span<std::uint8_t>) const;

Hdf5Writer::Hdf5Writer(const std::string& path)
    : path_(path), temporary_path_(fmt::format("{}.part-{}", path, getpid())) {
  silence_hdf5();
  if (std::filesystem::exists(path) && !std::filesystem::is_regular_file(path)) {
    throw BadInput(path + ": is a folder, pipe or device: must be a file or nothing yet");
  }
  Hdf5Id file(H5Fcreate(temporary_path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT),
              H5Fclose);
  if (!file.valid()) {
    std::remove(temporary_path_.c_str());
    throw BadInput(path + ": cannot be created (folder missing or not writable)");
  }
  file_.push_back(std::move(file));
}

Hdf5Writer::~Hdf5Writer() {
  if (file_.empty()) return;
  file_.clear();
  std::remove(temporary_path_.c_str());
}

void Hdf5Writer::create_group(const std::string& name) {
  const Hdf5Id group(
      H5Gcreate2(file_.front().get(), name.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      H5Gclose);
  if (!group.valid()) throw CannotRun(fmt::format("{}: cannot write group {}", path_, name));
}

namespace {

void write_attribute(hid_t file, const std::string& path, const std::string& group,
                     const std::string& name, hid_t type, const void* value) {
  const Hdf5Id space(H5Screate(H5S_SCALAR), H5Sclose);
  const Hdf5Id attribute(H5Acreate_by_name(file, group.c_str(), name.c_str(), type, space.get(),
                                           H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  if (!attribute.valid() || H5Awrite(attribute.get(), type, value) < 0) {
    throw CannotRun(fmt::format("{}: cannot write attribute {}", path, name));
  }
}

}  // namespace

void Hdf5Writer::set_attribute(const std::string& group, const std::string& name,
                               std::int64_t value) {
  write_attribute(file_.front().get(), path_, group, name, H5T_NATIVE_INT64, &value);
}

void Hdf5Writer::set_attribute(const std::string& group, const std::string& name, double value) {
  write_attribute(file_.front().get(), path_, group, name, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5Writer::set_attribute(const std::string& group, const std::string& name,
                               std::string_view value) {
  const Hdf5Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), value.size() + 1);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  const std::string terminated(value);
  write_attribute(file_.front().get(), path_, group, name, type.get(), terminated.c_str());
}

template <class T>
void Hdf5Writer::write(const std::string& dataset, std::span<const Index> shape,
                       std::span<const T> values) {
  if (product(shape) != std::ssize(values)) {
    throw std::invalid_argument("Hdf5Writer: number of values differs from shape");
  }
  const std::vector<hsize_t> dims(shape.begin(), shape.end());
  const Hdf5Id space(H5Screate_simple(static_cast<int>(dims.size()), dims.data(), nullptr),
                     H5Sclose);
  const Hdf5Id id(H5Dcreate2(file_.front().get(), dataset.c_str(), native_type<T>(), space.get(),
                             H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                  H5Dclose);
  if (!id.valid() ||
      H5Dwrite(id.get(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    throw CannotRun(fmt::format("{}: cannot write dataset {}", path_, dataset));
  }
}

template void Hdf5Writer::write(const std::string&, std::span<const Index>, std::span<const float>);
template void Hdf5Writer::write(const std::string&, std::span<const Index>,
                                std::span<const double>);
template void Hdf5Writer::write(const std::string&, std::span<const Index>,
                                std::span<const std::int64_t>);
template void Hdf5Writer::write(const std::string&, std::span<const Index>,
                                std::span<const std::uint8_t>);

void Hdf5Writer::commit() {
  const bool flushed = H5Fflush(file_.front().get(), H5F_SCOPE_GLOBAL) >= 0;
  file_.clear();
  std::error_code error;
  if (flushed) std::filesystem::rename(temporary_path_, path_, error);
  if (!flushed || error) {
    std::remove(temporary_path_.c_str());
    throw CannotRun(path_ + ": cannot be written (disk full?)");
  }
}

}  // namespace apb
