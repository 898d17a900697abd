#include "reference/cli/whole_file.hpp"

#include <filesystem>
#include <fstream>
#include <vector>

#include "reference/core/error.hpp"
#include "reference/core/temporary_file.hpp"

namespace apb {
namespace {

/// An empty file that is to become `path`. \throws BadInput if there can be none
std::string temporary_for(const std::string& path) {
  std::error_code error;
  const auto kind = std::filesystem::symlink_status(path, error).type();
  if (kind != std::filesystem::file_type::not_found &&
      kind != std::filesystem::file_type::regular) {
    throw BadInput(path + ": must be a new file or a regular one");
  }
  std::string temporary = create_temporary_file(path);
  if (temporary.empty()) {
    throw BadInput(path + ": cannot be created (folder missing or not writable)");
  }
  return temporary;
}

}  // namespace

std::string read_stream(std::istream& stream, std::size_t most_bytes) {
  std::string text;
  std::vector<char> piece(std::size_t{1} << 16U);
  while (stream && text.size() <= most_bytes) {
    stream.read(piece.data(), std::ssize(piece));
    text.append(piece.data(), static_cast<std::size_t>(stream.gcount()));
  }
  if (text.size() > most_bytes) text.resize(most_bytes + 1);
  return text;
}

std::string read_whole_file(const std::string& path, std::size_t most_bytes) {
  if (std::filesystem::is_directory(path)) throw BadInput(path + ": is a folder");
  std::ifstream file(path, std::ios::binary);
  std::string text = read_stream(file, most_bytes);
  if (!file.is_open() || file.bad()) throw BadInput(path + ": cannot be read");
  return text;
}

void check_writable(const std::string& path) {
  std::filesystem::remove(temporary_for(path));
}

void write_whole_file(const std::string& path, const std::string& text) {
  const std::string temporary = temporary_for(path);
  std::ofstream file(temporary, std::ios::binary);
  file << text;
  file.close();
  std::error_code error;
  if (file) std::filesystem::rename(temporary, path, error);
  if (!file || error) {
    std::filesystem::remove(temporary, error);
    throw CannotRun(path + ": cannot be written (disk full?)");
  }
}

}  // namespace apb
