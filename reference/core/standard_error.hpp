#pragma once
/// \file
/// Lines for the user beside a command's output.

#include <cstdio>
#include <string>

namespace apb {

/// Writes to standard error. If that is closed, or a file on a full disk, the words are lost and
/// nothing else is: no run fails because nobody can be told about it.
inline void print_to_stderr(const std::string& text) {
  (void)std::fputs(text.c_str(), stderr);
}

}  // namespace apb
