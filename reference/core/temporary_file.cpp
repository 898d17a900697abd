#include "reference/core/temporary_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <random>

namespace apb {
namespace {

/// Name of this machine, of letters that a file's name may hold.
std::string machine() {
  std::array<char, 33> name{};
  gethostname(name.data(), name.size() - 1);
  std::string machine = name.data();
  for (char& letter : machine) {
    if (letter == '/') letter = '_';
  }
  return machine;
}

}  // namespace

std::string create_temporary_file(const std::string& path) {
  std::random_device random;
  while (true) {
    std::string name =
        fmt::format("{}.part-{}-{}-{:08x}", path, machine(), getpid(), std::uint32_t{random()});
    const int file = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0) {
      close(file);
      return name;
    }
    if (errno != EEXIST) return {};
  }
}

}  // namespace apb
