#pragma once
/// \file
/// Text files that are read whole, and that appear whole or not at all.

#include <istream>
#include <limits>
#include <string>

namespace apb {

inline constexpr std::size_t kAllBytes = std::numeric_limits<std::size_t>::max();

/// A stream's bytes to its end, but no more than `most_bytes` + 1: one too many says that there are
/// more.
[[nodiscard]] std::string read_stream(std::istream& stream, std::size_t most_bytes = kAllBytes);

/// The same of a file. \throws BadInput if it is a folder or cannot be read
[[nodiscard]] std::string read_whole_file(const std::string& path,
                                          std::size_t most_bytes = kAllBytes);

/// For a long run: refuses a path at its beginning, not at its end.
/// \throws BadInput if a file cannot be created there
void check_writable(const std::string& path);

/// Writes a file under a temporary name beside it, then renames it.
/// \throws BadInput if it cannot be created there, CannotRun if it cannot be written to the end
void write_whole_file(const std::string& path, const std::string& text);

}  // namespace apb
