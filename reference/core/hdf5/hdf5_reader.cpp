#include "reference/core/hdf5/hdf5_file.hpp"

#include <fmt/ranges.h>

#include <algorithm>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_types.hpp"
#include "reference/core/hdf5/open_file.hpp"
#include "reference/core/regular_file.hpp"

namespace apb {
namespace {

/// What the class of a type is called in a refusal.
std::string_view class_name(H5T_class_t type) {
  switch (type) {
    case H5T_INTEGER:
      return "integers";
    case H5T_FLOAT:
      return "floating-point numbers";
    case H5T_STRING:
      return "strings";
    default:
      return "values of another kind";
  }
}

/// The class that a dataset read as T must have. HDF5 would convert the other too, but whoever
/// stored scores as integers has lost their fractions, and a position is no fraction.
template <class T>
constexpr H5T_class_t kStoredClass = std::is_floating_point_v<T> ? H5T_FLOAT : H5T_INTEGER;

/// An attribute is read by its value: 1 is a number as 1.0 is, but no fraction is an integer.
template <class T>
bool attribute_readable_as(hid_t type) {
  const H5T_class_t found = H5Tget_class(type);
  return found == H5T_INTEGER || found == kStoredClass<T>;
}

/// How far a filter shrinks data at best: deflate reaches 1032 to 1.
constexpr double kBestCompression = 1100;

std::string describe(std::span<const Index> shape) {
  return fmt::format("shape [{}]", fmt::join(shape, ", "));
}

Hdf5Id open_file(const std::string& path) {
  silence_hdf5();
  require_regular_file(path);
  Hdf5Id file = open_hdf5_for_reading(path);
  if (!file.valid()) throw BadInput(fmt::format("{}: {}", path, why_not_opened(path)));
  return file;
}

herr_t refuse_link(const char* /*file*/, const char* /*group*/, const char* /*other file*/,
                   const char* /*object*/, unsigned* /*flags*/, hid_t /*access*/, void* /*data*/) {
  return -1;
}

/// "/rank_0/anchor_rows" -> "/rank_0" and "anchor_rows"; without a slash it is the root's.
std::pair<std::string, std::string> object_and_attribute(const std::string& name) {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string::npos || slash == 0) {
    return {"/", name.substr(slash == 0 ? 1 : 0)};
  }
  return {name.substr(0, slash), name.substr(slash + 1)};
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
  if (H5Sget_simple_extent_npoints(space.get()) != 1 || !attribute_readable_as<T>(type.get()) ||
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

/// Parts of a dataset that are written apart, and how many of them were.
struct Parts {
  hsize_t written = 0;
  hsize_t all = 0;
};

Parts parts_of(hid_t dataset) {
  const Hdf5Id properties(H5Dget_create_plist(dataset), H5Pclose);
  if (H5Pget_layout(properties.get()) != H5D_CHUNKED) {
    return {H5Dget_storage_size(dataset) > 0 ? hsize_t{1} : 0, 1};
  }
  const std::vector<Index> extents = dataset_shape(dataset);
  std::vector<hsize_t> chunk(extents.size());
  H5Pget_chunk(properties.get(), static_cast<int>(chunk.size()), chunk.data());
  Parts parts{0, 1};
  for (std::size_t dim = 0; dim < chunk.size(); ++dim) {
    const hsize_t size = std::max<hsize_t>(chunk[dim], 1);  // 0 in a broken file
    parts.all *= (static_cast<hsize_t>(extents[dim]) + size - 1) / size;
  }
  const Hdf5Id space(H5Dget_space(dataset), H5Sclose);
  H5Dget_num_chunks(dataset, space.get(), &parts.written);
  return parts;
}

}  // namespace

// A dataset's access properties are also link properties.
Hdf5Id inside_this_file(hid_t property_class) {
  Hdf5Id access(H5Pcreate(property_class), H5Pclose);
  H5Pset_elink_cb(access.get(), refuse_link, nullptr);
  return access;
}

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
  const Parts parts = parts_of(id.get());
  if (values > 0 && parts.written < parts.all) {
    throw BadInput(
        fmt::format("{}: dataset {}: {} of {} parts (chunks) never written: must be whole", path_,
                    dataset, parts.all - parts.written, parts.all));
  }
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
  if (const H5T_class_t found = H5Tget_class(type.get()); found != kStoredClass<T>) {
    throw BadInput(path_, dataset, class_name(found), class_name(kStoredClass<T>));
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

}  // namespace apb
