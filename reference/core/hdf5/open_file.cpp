#include "reference/core/hdf5/open_file.hpp"

#include <fcntl.h>
#include <hdf5.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "reference/core/error.hpp"

namespace apb {
namespace {

constexpr std::string_view kSignature = "\x89HDF\r\n\x1a\n";

/// What follows the signature where a file's description begins.
constexpr std::size_t kVersionByte = 8;
constexpr std::size_t kFlagsByte = 11;  ///< from version 2 on
constexpr std::size_t kHeadBytes = 12;
constexpr int kNewestVersion = 3;
constexpr unsigned kOpenForWriting = 1;

/// Whether the library would be able to lock the file, as it does while it reads.
/// \throws CannotRun if a writer has locked it
bool has_locks(const std::string& path) {
  const char* const setting = std::getenv("HDF5_USE_FILE_LOCKING");
  if (setting != nullptr) return true;  // the user decides, and the library obeys
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return true;  // opening it will say why
  const bool locked = flock(file, LOCK_SH | LOCK_NB) == 0;
  const int error = errno;
  close(file);
  if (!locked && error == EWOULDBLOCK) {
    throw CannotRun(path +
                    ": another program has it open for writing: close it there (or read it all "
                    "the same, with HDF5_USE_FILE_LOCKING=FALSE in the environment)");
  }
  return locked;
}

/// The bytes from the signature on, which may stand after a block of the user's own: at 512, 1024 …
/// Empty if there is none.
std::string description(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const std::streamoff size = file.tellg();
  for (std::streamoff at = 0; at < size; at = at == 0 ? 512 : 2 * at) {
    std::string head(kHeadBytes, '\0');
    file.clear();
    file.seekg(at);
    file.read(head.data(), std::ssize(head));
    if (file && head.starts_with(kSignature)) return head;
  }
  return {};
}

}  // namespace

Hdf5Id open_hdf5_for_reading(const std::string& path) {
  const Hdf5Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  if (!has_locks(path)) H5Pset_file_locking(access.get(), false, true);
  return {H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get()), H5Fclose};
}

void require_unlocked(const std::string& path) {
  (void)has_locks(path);
}

std::string why_not_opened(const std::string& path) {
  const std::string head = description(path);
  const int version = head.empty() ? 0 : static_cast<unsigned char>(head[kVersionByte]);
  if (version > kNewestVersion) {
    return fmt::format(
        "is of a newer HDF5 format (superblock {}) than this program reads (up to {})", version,
        kNewestVersion);
  }
  if (version == kNewestVersion &&
      (static_cast<unsigned char>(head[kFlagsByte]) & kOpenForWriting) != 0) {
    return "was not closed by the program that wrote it: what it holds may be incomplete (h5clear "
           "-s makes it readable)";
  }
  return "not an HDF5 file, truncated or corrupt";
}

}  // namespace apb
