#pragma once
/// \file
/// Whether a path that a user gave is a file that can be opened and read to its end.

#include <filesystem>
#include <string>
#include <system_error>

#include "reference/core/error.hpp"

namespace apb {

/// \throws BadInput saying what is there instead
inline void require_regular_file(const std::string& path) {
  std::error_code error;
  switch (std::filesystem::status(path, error).type()) {
    case std::filesystem::file_type::regular:
      return;
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
