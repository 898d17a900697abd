// Edits of datasets: one value is written, or the dataset is taken away and made anew.

#include <hdf5.h>

#include <algorithm>
#include <array>
#include <optional>

#include "reference/core/hdf5/hdf5_file.hpp"
#include "tests/fuzz/edited_file.hpp"
#include "tests/fuzz/stored_types.hpp"

namespace apb {
namespace {

/// More values than any seed file's dataset has; larger ones are made without values.
constexpr double kMostValues = 4096;

/// A dataset as it will be made. Numbers are all double here: the seeds' integers fit.
struct Dataset {
  Hdf5Id type;
  std::vector<hsize_t> dims;
  std::vector<double> values;
};

std::vector<hsize_t> dims_of(hid_t dataset) {
  const Hdf5Id space(H5Dget_space(dataset), H5Sclose);
  std::vector<hsize_t> dims(
      static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.get()))));
  H5Sget_simple_extent_dims(space.get(), dims.data(), nullptr);
  return dims;
}

double count_of(std::span<const hsize_t> dims) {
  double count = 1;
  for (const hsize_t extent : dims) count *= static_cast<double>(extent);
  return count;
}

std::optional<Dataset> load(hid_t file, const std::string& name) {
  const Hdf5Id dataset(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) return std::nullopt;
  Dataset loaded{{H5Dget_type(dataset.get()), H5Tclose}, dims_of(dataset.get()), {}};
  const double count = count_of(loaded.dims);
  if (count > kMostValues || number_type(loaded.type.get()) < 0) return std::nullopt;
  loaded.values.resize(static_cast<std::size_t>(count));
  H5Dread(dataset.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, loaded.values.data());
  return loaded;
}

/// Number of the storages that set_storage knows.
constexpr int kNumStorages = 8;

/// How and where values lie. \return whether values shall be written
bool set_storage(hid_t properties, int storage, std::span<const hsize_t> dims) {
  std::vector<hsize_t> chunk;
  for (const hsize_t extent : dims) chunk.push_back(std::clamp<hsize_t>(extent, 1, 3));
  const auto rank = static_cast<int>(dims.size());
  switch (storage % kNumStorages) {
    case 0:
      return true;  // contiguous
    case 1:
      return false;  // contiguous, never written: no bytes in the file
    case 2:
      H5Pset_layout(properties, H5D_COMPACT);
      return true;
    case 3:
      H5Pset_chunk(properties, rank, chunk.data());
      return true;
    case 4:
      H5Pset_chunk(properties, rank, chunk.data());
      return false;
    case 5:
      H5Pset_chunk(properties, rank, chunk.data());
      H5Pset_shuffle(properties);
      H5Pset_deflate(properties, 1);
      H5Pset_fletcher32(properties);
      return true;
    case 6:
      H5Pset_fill_time(properties, H5D_FILL_TIME_NEVER);
      return false;
    default:
      H5Pset_external(properties, "/dev/zero", 0, H5F_UNLIMITED);
      return false;
  }
}

void replace(hid_t file, const std::string& name, const Dataset& dataset, int storage) {
  H5Ldelete(file, name.c_str(), H5P_DEFAULT);
  const Hdf5Id space(
      H5Screate_simple(static_cast<int>(dataset.dims.size()), dataset.dims.data(), nullptr),
      H5Sclose);
  const Hdf5Id properties(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  const bool write = set_storage(properties.get(), storage, dataset.dims);
  const Hdf5Id made(H5Dcreate2(file, name.c_str(), dataset.type.get(), space.get(), H5P_DEFAULT,
                               properties.get(), H5P_DEFAULT),
                    H5Dclose);
  if (!made.valid() || !write || number_type(dataset.type.get()) < 0) return;
  std::vector<double> values = dataset.values;
  if (count_of(dataset.dims) > kMostValues) return;
  values.resize(static_cast<std::size_t>(count_of(dataset.dims)));
  H5Dwrite(made.get(), H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
}

void replace_element(hid_t file, const std::string& name, const Edit& edit) {
  const Hdf5Id dataset(H5Dopen2(file, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!dataset.valid()) return;
  const Hdf5Id type(H5Dget_type(dataset.get()), H5Tclose);
  const Hdf5Id space(H5Dget_space(dataset.get()), H5Sclose);
  const std::vector<hsize_t> dims = dims_of(dataset.get());
  const double count = count_of(dims);
  if (count < 1 || count > kMostValues || dims.empty()) return;
  std::vector<hsize_t> at(dims.size());
  auto element = static_cast<hsize_t>(edit.place);
  for (std::size_t axis = dims.size(); axis-- > 0; element /= dims[axis]) {
    at[axis] = element % dims[axis];
  }
  H5Sselect_elements(space.get(), H5S_SELECT_SET, 1, at.data());
  const Hdf5Id one(H5Screate(H5S_SCALAR), H5Sclose);
  if (number_type(type.get()) == H5T_NATIVE_INT64) {
    std::int64_t value = 0;
    H5Dread(dataset.get(), H5T_NATIVE_INT64, one.get(), space.get(), H5P_DEFAULT, &value);
    value = new_integer(edit, value);
    H5Dwrite(dataset.get(), H5T_NATIVE_INT64, one.get(), space.get(), H5P_DEFAULT, &value);
  } else if (number_type(type.get()) >= 0) {
    const double value = new_real(edit);
    H5Dwrite(dataset.get(), H5T_NATIVE_DOUBLE, one.get(), space.get(), H5P_DEFAULT, &value);
  }
}

/// Another rank, or another extent of one axis.
std::vector<hsize_t> other_shape(std::vector<hsize_t> dims, const Edit& edit) {
  const std::size_t axis = dims.empty() ? 0 : edit.place % dims.size();
  switch (edit.variant / 4 % 4) {
    case 0:
      dims.insert(dims.begin(), 1);
      break;
    case 1:
      if (!dims.empty()) dims.erase(dims.begin());
      break;
    default:
      if (dims.empty()) break;
      dims[axis] = static_cast<hsize_t>(new_integer(edit, static_cast<std::int64_t>(dims[axis])));
  }
  return dims;
}

}  // namespace

void edit_dataset(hid_t file, const std::string& name, const Edit& edit) {
  if (edit.kind == EditKind::kElement) return replace_element(file, name, edit);
  std::optional<Dataset> dataset = load(file, name);
  if (!dataset) return;
  switch (edit.kind) {
    case EditKind::kDatasetType:
      return replace(file, name, {stored_type(edit.variant), dataset->dims, dataset->values},
                     edit.place);
    case EditKind::kDatasetShape:
      dataset->dims = other_shape(dataset->dims, edit);
      return replace(file, name, *dataset, edit.place / 4);
    default:
      return replace(file, name, *dataset, edit.variant);
  }
}

}  // namespace apb
