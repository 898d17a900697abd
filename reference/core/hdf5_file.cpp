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

/// How far a filter shrinks data at best: deflate reaches 1032 to 1.
constexpr double kBestCompression = 1100;

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

herr_t refuse_link(const char* /*file*/, const char* /*group*/, const char* /*other file*/,
                   const char* /*object*/, unsigned* /*flags*/, hid_t /*access*/, void* /*data*/) {
  return -1;
}

/// How links are followed (a dataset's access properties are also link properties): never into
/// another file.
Hdf5Id inside_this_file(hid_t property_class) {
  Hdf5Id access(H5Pcreate(property_class), H5Pclose);
  H5Pset_elink_cb(access.get(), refuse_link, nullptr);
  return access;
}

/// "/rank_0/anchor_rows" -> "/rank_0" and "anchor_rows"; without a slash it is the root's.
std::pair<std::string, std::string> object_and_attribute(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string::npos || slash == 0) {
    return {"/", name.substr(slash == 0 ? 1 : 0)};
  }
  return {name.substr(0, slash), name.substr(slash + 1)};
}

/// How objects are created: without the time of day, so that the same contents are the same bytes.
Hdf5Id without_time(hid_t property_class) {
  Hdf5Id properties(H5Pcreate(property_class), H5Pclose);
  H5Pset_obj_track_times(properties.get(), false);
  return properties;
}

/// Text of an attribute of variable length.
std::string variable_string(hid_t attribute, hid_t type, const std::string& failure) {
  char* text = nullptr;
  if (H5Aread(attribute, type, &text) < 0) throw BadInput(failure);
  std::string value = text == nullptr ? "" : text;
  H5free_memory(text);
  return value;
}

/// The one number that an attribute holds.
/// \param failure what to refuse anything else with
template <class T>
T scalar_of(hid_t attribute, const std::string& failure) {
  const Hdf5Id space(H5Aget_space(attribute), H5Sclose);
  const Hdf5Id type(H5Aget_type(attribute), H5Tclose);
  T value{};
  if (H5Sget_simple_extent_npoints(space.get()) != 1 || !readable_as<T>(type.get()) ||
      H5Aread(attribute, native_type<T>(), &value) < 0) {
    throw BadInput(failure);
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

double most_stored_values(hid_t dataset) {
  const Hdf5Id properties(H5Dget_create_plist(dataset), H5Pclose);
  const Hdf5Id type(H5Dget_type(dataset), H5Tclose);
  if (H5Pget_external_count(properties.get()) > 0) return 0;
  const bool filtered = H5Pget_nfilters(properties.get()) > 0;
  return static_cast<double>(H5Dget_storage_size(dataset)) * (filtered ? kBestCompression : 1.0) /
         static_cast<double>(H5Tget_size(type.get()));
}

Hdf5Id::~Hdf5Id() {
  if (id_ >= 0) close_(id_);
}

Hdf5Reader::Hdf5Reader(const std::string& path)
    : path_(path),
      file_(open_file(path)),
      link_access_(inside_this_file(H5P_LINK_ACCESS)),
      dataset_access_(inside_this_file(H5P_DATASET_ACCESS)) {}

Hdf5Id Hdf5Reader::open_attribute(const std::string& name) const {
  const auto [object, attribute_name] = object_and_attribute(name);
  Hdf5Id attribute(H5Aopen_by_name(file_.get(), object.c_str(), attribute_name.c_str(), H5P_DEFAULT,
                                   link_access_.get()),
                   H5Aclose);
  if (!attribute.valid()) throw BadInput(fmt::format("{}: attribute {} is missing", path_, name));
  return attribute;
}

Hdf5Id Hdf5Reader::open_dataset(const std::string& name) const {
  Hdf5Id dataset(H5Dopen2(file_.get(), name.c_str(), dataset_access_.get()), H5Dclose);
  if (!dataset.valid()) throw BadInput(fmt::format("{}: dataset {} is missing", path_, name));
  return dataset;
}

Hdf5Id Hdf5Reader::open_dataset(const std::string& name,
                                std::span<const Index> expected_shape) const {
  Hdf5Id dataset = open_dataset(name);
  const std::vector<Index> found = dataset_shape(dataset.get());
  if (!std::ranges::equal(found, expected_shape)) {
    throw BadInput(path_, name, describe(found), describe(expected_shape));
  }
  return dataset;
}

bool Hdf5Reader::has(const std::string& name) const {
  // H5Lexists needs every parent to exist.
  for (std::size_t slash = name.find('/', 1);; slash = name.find('/', slash + 1)) {
    if (H5Lexists(file_.get(), name.substr(0, slash).c_str(), link_access_.get()) <= 0)
      return false;
    if (slash == std::string::npos) return true;
  }
}

bool Hdf5Reader::has_attribute(const std::string& name) const {
  const auto [object, attribute] = object_and_attribute(name);
  return H5Aexists_by_name(file_.get(), object.c_str(), attribute.c_str(), link_access_.get()) > 0;
}

std::int64_t Hdf5Reader::int_attribute(const std::string& name) const {
  return scalar_of<std::int64_t>(open_attribute(name).get(),
                                 fmt::format("{}: attribute {}: must be one integer", path_, name));
}

double Hdf5Reader::double_attribute(const std::string& name) const {
  return scalar_of<double>(open_attribute(name).get(),
                           fmt::format("{}: attribute {}: must be one number", path_, name));
}

std::string Hdf5Reader::string_attribute(const std::string& name) const {
  const Hdf5Id attribute = open_attribute(name);
  const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
  const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
  if (H5Tget_class(type.get()) != H5T_STRING || H5Sget_simple_extent_npoints(space.get()) != 1) {
    throw BadInput(fmt::format("{}: attribute {}: must be one string", path_, name));
  }
  const std::string failure = fmt::format("{}: attribute {}: cannot be read", path_, name);
  if (H5Tis_variable_str(type.get()) > 0) {
    return variable_string(attribute.get(), type.get(), failure);
  }
  std::string value(H5Tget_size(type.get()), '\0');
  if (H5Aread(attribute.get(), type.get(), value.data()) < 0) throw BadInput(failure);
  return value.substr(0, value.find('\0'));
}

std::vector<std::int64_t> Hdf5Reader::int_list_attribute(const std::string& name) const {
  const Hdf5Id attribute = open_attribute(name);
  const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
  const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
  const auto refuse = [&] {
    throw BadInput(fmt::format("{}: attribute {}: must be a list of integers", path_, name));
  };
  const hssize_t count = H5Sget_simple_extent_npoints(space.get());
  const bool list = H5Sget_simple_extent_ndims(space.get()) <= 1 && count >= 0;
  if (!list || H5Tget_class(type.get()) != H5T_INTEGER ||
      static_cast<hsize_t>(count) > H5Aget_storage_size(attribute.get())) {
    refuse();
  }
  std::vector<std::int64_t> values(static_cast<std::size_t>(count));
  if (count > 0 && H5Aread(attribute.get(), H5T_NATIVE_INT64, values.data()) < 0) refuse();
  return values;
}

std::vector<Index> Hdf5Reader::shape(const std::string& dataset) const {
  return dataset_shape(open_dataset(dataset).get());
}

void Hdf5Reader::require_shape(const std::string& dataset,
                               std::span<const Index> expected_shape) const {
  (void)open_dataset(dataset, expected_shape);
}

void Hdf5Reader::require_stored(const std::string& dataset,
                                std::span<const Index> expected_shape) const {
  const Hdf5Id id = open_dataset(dataset, expected_shape);
  double values = 1;
  for (const Index extent : expected_shape) values *= static_cast<double>(extent);
  if (values > most_stored_values(id.get())) {
    throw BadInput(path_, dataset, describe(expected_shape), "of a size that the file holds");
  }
}

template <class T>
void Hdf5Reader::read(const std::string& dataset, std::span<const Index> expected_shape,
                      std::span<T> values) const {
  const Hdf5Id id = open_dataset(dataset, expected_shape);
  if (product(expected_shape) != std::ssize(values)) {
    throw std::invalid_argument("Hdf5Reader: room differs from shape");
  }
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
  const Hdf5Id properties = without_time(H5P_GROUP_CREATE);
  const Hdf5Id group(
      H5Gcreate2(file_.front().get(), name.c_str(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
      H5Gclose);
  if (!group.valid()) throw CannotRun(fmt::format("{}: cannot write group {}", path_, name));
}

namespace {

void write_attribute(hid_t file, const std::string& path, const std::string& group,
                     const std::string& name, hid_t space, hid_t type, const void* value) {
  const Hdf5Id attribute(H5Acreate_by_name(file, group.c_str(), name.c_str(), type, space,
                                           H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
                         H5Aclose);
  if (!attribute.valid() || H5Awrite(attribute.get(), type, value) < 0) {
    throw CannotRun(fmt::format("{}: cannot write attribute {}", path, name));
  }
}

void write_scalar(hid_t file, const std::string& path, const std::string& group,
                  const std::string& name, hid_t type, const void* value) {
  const Hdf5Id space(H5Screate(H5S_SCALAR), H5Sclose);
  write_attribute(file, path, group, name, space.get(), type, value);
}

}  // namespace

void Hdf5Writer::set_attribute(const std::string& group, const std::string& name,
                               std::int64_t value) {
  write_scalar(file_.front().get(), path_, group, name, H5T_NATIVE_INT64, &value);
}

void Hdf5Writer::set_attribute(const std::string& group, const std::string& name, double value) {
  write_scalar(file_.front().get(), path_, group, name, H5T_NATIVE_DOUBLE, &value);
}

void Hdf5Writer::set_attribute(const std::string& group, const std::string& name,
                               std::string_view value) {
  const Hdf5Id type(H5Tcopy(H5T_C_S1), H5Tclose);
  H5Tset_size(type.get(), value.size() + 1);
  H5Tset_cset(type.get(), H5T_CSET_UTF8);
  const std::string terminated(value);
  write_scalar(file_.front().get(), path_, group, name, type.get(), terminated.c_str());
}

void Hdf5Writer::set_attribute(const std::string& group, const std::string& name,
                               std::span<const std::int64_t> values) {
  const auto count = static_cast<hsize_t>(values.size());
  constexpr std::int64_t kNothing = 0;  // HDF5 wants an address even for no values
  const Hdf5Id space(H5Screate_simple(1, &count, nullptr), H5Sclose);
  write_attribute(file_.front().get(), path_, group, name, space.get(), H5T_NATIVE_INT64,
                  values.empty() ? &kNothing : values.data());
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
  const Hdf5Id properties = without_time(H5P_DATASET_CREATE);
  const Hdf5Id id(H5Dcreate2(file_.front().get(), dataset.c_str(), native_type<T>(), space.get(),
                             H5P_DEFAULT, properties.get(), H5P_DEFAULT),
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
