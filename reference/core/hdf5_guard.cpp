#include "reference/core/hdf5_guard.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "reference/core/error.hpp"
#include "reference/core/hdf5_file.hpp"
#include "reference/core/regular_file.hpp"

namespace apb {
namespace {

/// Time of the processor and memory that reading through a file's structure may take. Milliseconds
/// do, but for one broken file in a thousand libhdf5 never ends. Chunked data is read whole: large
/// files get more time, at a rate that inflating reaches easily.
constexpr rlim_t kChildSeconds = 5;
constexpr std::uintmax_t kBytesPerSecond = 20 << 20U;
constexpr rlim_t kChildBytes = rlim_t{8} << 30U;

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

/// Reads strings of variable length, which lie elsewhere in the file.
herr_t inspect_variable_strings(hid_t attribute, hid_t type, hid_t space) {
  std::vector<char*> texts(static_cast<std::size_t>(H5Sget_simple_extent_npoints(space)));
  if (H5Aread(attribute, type, texts.data()) < 0) return -1;
  return H5Dvlen_reclaim(type, space, H5P_DEFAULT, texts.data());
}

/// Reads an attribute, as its readers will.
herr_t inspect_attribute(hid_t object, const char* name, const H5A_info_t* /*unused*/,
                         void* /*unused*/) {
  const Hdf5Id attribute(H5Aopen(object, name, H5P_DEFAULT), H5Aclose);
  if (!attribute.valid()) return -1;
  const Hdf5Id type(H5Aget_type(attribute.get()), H5Tclose);
  const Hdf5Id space(H5Aget_space(attribute.get()), H5Sclose);
  if (!type.valid() || !space.valid()) return -1;
  if (H5Sget_simple_extent_npoints(space.get()) == 0) return 0;
  if (H5Tis_variable_str(type.get()) > 0) {
    return inspect_variable_strings(attribute.get(), type.get(), space.get());
  }
  const hid_t read_as = memory_type(type.get());
  if (read_as < 0) return 0;
  auto room = room_for(read_as, H5Sget_simple_extent_npoints(space.get()));
  return H5Aread(attribute.get(), read_as, room.data()) < 0 ? -1 : 0;
}

/// Reads the first value of a contiguous dataset (the others are plain bytes after it), or all of a
/// dataset that is stored in another way.
herr_t inspect_dataset(hid_t dataset) {
  const Hdf5Id properties(H5Dget_create_plist(dataset), H5Pclose);
  // What lies in another file is refused unseen: that could be a pipe that never ends.
  if (!properties.valid() || H5Pget_external_count(properties.get()) != 0 ||
      H5Pget_layout(properties.get()) == H5D_VIRTUAL) {
    return -1;
  }
  const Hdf5Id type(H5Dget_type(dataset), H5Tclose);
  const Hdf5Id space(H5Dget_space(dataset), H5Sclose);
  if (!type.valid() || !space.valid()) return -1;
  const hid_t read_as = memory_type(type.get());
  hssize_t count = H5Sget_simple_extent_npoints(space.get());
  if (read_as < 0 || count <= 0) return 0;
  // A size without the data behind it.
  if (static_cast<double>(count) > most_stored_values(dataset)) return -1;
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

/// \param file_bytes size of the file
void limit_child(std::uintmax_t file_bytes) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);  // nobody waits for the answer any more
  const rlim_t allowed = kChildSeconds + file_bytes / kBytesPerSecond;
  const rlimit seconds{allowed, allowed};
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

void check_hdf5_in_child(const std::string& path) {
  silence_hdf5();
  require_regular_file(path);
  std::array<int, 2> report{};
  if (pipe(report.data()) != 0) throw CannotRun(path + ": cannot make a pipe");
  const pid_t child = fork();
  if (child < 0) throw CannotRun(path + ": cannot start a process to read it");
  if (child == 0) {
    limit_child(std::filesystem::file_size(path));
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

}  // namespace apb
