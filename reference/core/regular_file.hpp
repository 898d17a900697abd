#pragma once
/// \file
/// Whether a path that a user gave is a file that can be opened and read to its end.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>

#include "reference/core/error.hpp"

namespace apb {

/// Whether this process may open a file.
/// \throws BadInput, or CannotRun if this process holds too many files already
inline void require_openable(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    close(file);
    return;
  }
  const std::error_code error(errno, std::generic_category());
  const std::string line = path + ": cannot be opened: " + error.message();
  if (error == std::errc::permission_denied) throw BadInput(line);
  throw CannotRun(line);
}

/// \throws BadInput saying what is there instead; CannotRun if this process can open no more files
inline void require_regular_file(const std::string& path) {
  std::error_code error;
  switch (std::filesystem::status(path, error).type()) {
    case std::filesystem::file_type::regular:
      return require_openable(path);
    case std::filesystem::file_type::not_found:
      throw BadInput(path + ": no such file");
    case std::filesystem::file_type::directory:
      throw BadInput(path + ": is a folder");
    case std::filesystem::file_type::none:
      throw BadInput(path + ": " + error.message());
    default:
      throw BadInput(path + ": is no regular file, but a pipe, a device or a socket");
  }
}

}  // namespace apb
