#include "reference/cli/installed_files.hpp"

#include <unistd.h>

#include <filesystem>

#include "reference/core/error.hpp"

namespace apb {

std::string own_path() {
  std::string path(4096, '\0');
  const ssize_t length = readlink("/proc/self/exe", path.data(), path.size());
  if (length <= 0) throw CannotRun("cannot find this program's own path");
  path.resize(static_cast<std::size_t>(length));
  return path;
}

std::string own_file(const std::string& name) {
  namespace fs = std::filesystem;
  const fs::path installed = fs::path(own_path()).parent_path() / APB_SHARE_FROM_BIN / name;
  return fs::exists(installed) ? installed.lexically_normal().string() : APB_SOURCE_DIR "/" + name;
}

}  // namespace apb
