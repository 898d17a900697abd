#include "reference/core/hdf5_file.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <utility>

#include "reference/core/error.hpp"

namespace apb {
namespace {

static_assert(std::is_same_v<hid_t, std::int64_t>);

/// Time and memory that reading through a file's structure may take.
constexpr rlim_t kChildSeconds = 20;
constexpr rlim_t kChildBytes = rlim_t{8} << 30U;

template <class T>
hid_t native_type() {
  if constexpr (std::is_same_v<T, float>) return H5T_NATIVE_FLOAT;
  if constexpr (std::is_same_v<T, double>) return H5T_NATIVE_DOUBLE;
  if constexpr (std::is_same_v<T, std::int64_t>) return H5T_NATIVE_INT64;
  if constexpr (std::is_same_v<T, std::uint8_t>) return H5T_NATIVE_UINT8;
}

/// Before the first call: no messages of HDF5's own, and no clean-up at exit, which crashes after a
/// full disk.
void silence_hdf5() {
  H5dont_atexit();
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
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
  T value{};
  if (H5Sget_simple_extent_npoints(space.get()) != 1 ||
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

/// The type that values of a class are read as; negative for classes that nobody here reads.
hid_t memory_type(hid_t type) {
  switch (H5Tget_class(type)) {
    case H5T_FLOAT:
      return H5T_NATIVE_DOUBLE;
    case H5T_INTEGER:
      return H5T_NATIVE_INT64;
    case H5T_STRING:
      return type;
    default:
      return -1;
  }
}

/// Room for `count` values of a type as they lie in memory.
std::vector<std::byte> room_for(hid_t type, hssize_t count) {
  return std::vector<std::byte>(H5Tget_size(type) * static_cast<std::size_t>(count));
}

/// Reads an attribute, as its readers will.
herr_t inspect_attribute(hid_t object, const char* name, const H5A_info_t* /*unused*/,
                         void* /*unused*/) {
  const Hdf5Id attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  if (!attribute.valid()) return -1;
  const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
  const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
  if (!type.valid() || !space.valid()) return -1;
  const hid_t read_as = memory_type(type.get());
  if (read_as < 0 || H5Tis_variable_str(type.get()) > 0) return 0;
  auto room = room_for(read_as, H5Sget_simple_extent_npoints(space.get()));
  return H5Aread(attribute.get(), read_as, room.data()) < 0 ? -1 : 0;
}

/// Reads the first value of a contiguous dataset (the others are plain bytes after it), or all of a
/// dataset that is stored in another way.
herr_t inspect_dataset(hid_t dataset) {
  const Hdf5Id type(H5Dget_type(dataset), H5Tclose);
  const Hdf5Id space(H5Dget_space(dataset), H5Sclose);
  const Hdf5Id properties(H5Dget_create_plist(dataset), H5Pclose);
  if (!type.valid() || !space.valid() || !properties.valid()) return -1;
  const hid_t read_as = memory_type(type.get());
  hssize_t count = H5Sget_simple_extent_npoints(space.get());
  if (read_as < 0 || count <= 0) return 0;
  if (H5Dget_storage_size(dataset) == 0) return -1;  // a size without data behind it
  if (H5Pget_layout(properties.get()) == H5D_CONTIGUOUS) {
    const std::vector<hsize_t> first(
        static_cast<std::size_t>(std::max(0, H5Sget_simple_extent_ndims(space.get()))), 0);
    count = 1;
    if (!first.empty()) H5Sselect_elements(space.get(), H5S_SELECT_SET, 1, first.data());
  }
  const auto values = static_cast<hsize_t>(count);
  const Hdf5Id room_space(H5Screate_simple(1, &values, nullptr), H5Sclose);
  auto room = room_for(read_as, count);
  return H5Dread(dataset, read_as, room_space.get(), space.get(), H5P_DEFAULT, room.data()) < 0 ? -1
                                                                                                : 0;
}

/// Called for every object of the file by H5Ovisit. Tells the parent process which one it is first.
herr_t inspect_object(hid_t file, const char* name, const H5O_info_t* info, void* report) {
  dprintf(*static_cast<int*>(report), "%s\n", name);
  const Hdf5Id object(H5Oopen(file, name, H5P_DEFAULT), H5Oclose);
  if (!object.valid()) return -1;
  if (H5Aiterate2(object.get(), H5_INDEX_NAME, H5_ITER_NATIVE, nullptr, inspect_attribute,
                  nullptr) < 0) {
    return -1;
  }
  return info->type == H5O_TYPE_DATASET ? inspect_dataset(object.get()) : 0;
}

/// Body of the child process: 0 if the file could be walked.
/// \param report where the names of its objects go
int walk_file(const std::string& path, int report) {
  const Hdf5Id file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT), H5Fclose);
  if (!file.valid()) return 1;
  return H5Ovisit(file.get(), H5_INDEX_NAME, H5_ITER_NATIVE, inspect_object, &report) < 0 ? 1 : 0;
}

/// All that comes out of a pipe until its end; the last line without its newline.
std::string last_line_of(int pipe) {
  std::string line;
  std::string last;
  char letter = 0;
  while (read(pipe, &letter, 1) == 1) {
    if (letter == '\n') {
      last = std::exchange(line, {});
    } else {
      line += letter;
    }
  }
  return last;
}

void limit_child() {
  const rlimit seconds{kChildSeconds, kChildSeconds};
  setrlimit(RLIMIT_CPU, &seconds);
  // A crash here is an answer, not something to report: no handlers, no core, no words.
  for (const int signal : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) std::signal(signal, SIG_DFL);
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
#ifndef __SANITIZE_ADDRESS__  // its shadow memory alone is larger than any sensible limit
  const rlimit bytes{kChildBytes, kChildBytes};
  setrlimit(RLIMIT_AS, &bytes);
#endif
}

}  // namespace

Hdf5Id::~Hdf5Id() {
  if (id_ >= 0) close_(id_);
}

void check_hdf5_in_child(const std::string& path) {
  silence_hdf5();
  if (!std::filesystem::is_regular_file(path)) throw BadInput(path + ": no such file");
  std::array<int, 2> report{};
  if (pipe(report.data()) != 0) throw CannotRun(path + ": cannot make a pipe");
  const pid_t child = fork();
  if (child < 0) throw CannotRun(path + ": cannot start a process to read it");
  if (child == 0) {
    limit_child();
    _exit(walk_file(path, report[1]));
  }
  close(report[1]);
  const std::string last_object = last_line_of(report[0]);
  close(report[0]);
  int status = 0;
  if (waitpid(child, &status, 0) != child) throw CannotRun(path + ": lost the reading process");
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  if (last_object.empty()) throw BadInput(path + ": not an HDF5 file, truncated or corrupt");
  throw BadInput(
      fmt::format("{}: corrupt file (at /{})", path, last_object == "." ? "" : last_object));
}

Hdf5Reader::Hdf5Reader(const std::string& path) : path_(path), file_(open_file(path)) {}

bool Hdf5Reader::has(const std::string& name) const {
  // H5Lexists needs every parent to exist.
  for (std::size_t slash = name.find('/', 1);; slash = name.find('/', slash + 1)) {
    if (H5Lexists(file_.get(), name.substr(0, slash).c_str(), H5P_DEFAULT) <= 0) return false;
    if (slash == std::string::npos) return true;
  }
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
  const Index count = std::accumulate(expected_shape.begin(), expected_shape.end(), Index{1},
                                      std::multiplies<Index>());
  if (count != std::ssize(values))
    throw std::invalid_argument("Hdf5Reader: room differs from shape");
  const Hdf5Id id(H5Dopen2(file_.get(), dataset.c_str(), H5P_DEFAULT), H5Dclose);
  if (H5Dread(id.get(), native_type<T>(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    throw BadInput(fmt::format("{}: dataset {}: cannot be read (truncated or of another type)",
                               path_, dataset));
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
