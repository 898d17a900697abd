#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/hdf5/hdf5_types.hpp"
#include "reference/core/temporary_file.hpp"

namespace apb {
namespace {

/// How objects are created: without the time of day, so that the same contents are the same bytes.
Hdf5Id without_time(hid_t property_class) {
  Hdf5Id properties(H5Pcreate(property_class), H5Pclose);
  H5Pset_obj_track_times(properties.get(), false);
  return properties;
}

/// Whether what stands at a path is what a mistyped command line may cost: an HDF5 file, which is
/// made again, or nothing at all.
bool may_be_replaced(const std::string& path) {
  constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";
  std::ifstream file(path, std::ios::binary);
  std::string begin(kSignature.size(), '\0');
  file.read(begin.data(), std::ssize(begin));
  return file.gcount() == 0 || (file && begin == kSignature);
}

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

Hdf5Writer::Hdf5Writer(const std::string& path) : path_(path) {
  silence_hdf5();
  std::error_code unknown;  // a path that cannot be looked at cannot be created either
  if (std::filesystem::exists(path, unknown) && !std::filesystem::is_regular_file(path, unknown)) {
    throw BadInput(path + ": is a folder, pipe or device: must be a file or nothing yet");
  }
  if (!may_be_replaced(path)) {
    throw BadInput(path + ": is there and no HDF5 file: only such a file is replaced");
  }
  temporary_path_ = create_temporary_file(path);
  const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  H5Pset_file_locking(access.get(), false, true);  // nobody else has its name; some disks lock not
  Hdf5Id file(H5Fcreate(temporary_path_.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()),
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
