#pragma once
/// \file
/// How a run ends when it cannot end well. Library code throws; only `main` prints and exits.

#include <fmt/format.h>

#include <cctype>
#include <stdexcept>
#include <string>
#include <string_view>

namespace apb {

/// Exit status of every tool.
enum class ExitStatus : int {
  kRight = 0,        ///< everything held
  kCheckFailed = 1,  ///< a check of results failed
  kBadInput = 2,     ///< the input is wrong; one line says where and what is allowed
  kCannotRun = 3,    ///< the run could not end: a rank died, memory ran out, a tool is missing
};

/// Text from a file may hold anything; a line has no control characters, which become '?'.
[[nodiscard]] inline std::string one_line(std::string text) {
  for (char& letter : text) {
    if (std::iscntrl(static_cast<unsigned char>(letter)) != 0) letter = '?';
  }
  return text;
}

/// Base of the errors that a tool turns into one line and an exit status.
class Error : public std::runtime_error {
 public:
  Error(ExitStatus status, const std::string& line)
      : std::runtime_error(one_line(line)), status_(status) {}
  [[nodiscard]] ExitStatus status() const { return status_; }

 private:
  ExitStatus status_;
};

/// The user's input is wrong (exit 2).
class BadInput : public Error {
 public:
  /// \param line what tools print; empty if it has been printed already
  explicit BadInput(const std::string& line) : Error(ExitStatus::kBadInput, line) {}

  /// \param where   file or object that holds the value, e.g. "config" or "weights.h5"
  /// \param key     name of the offending value
  /// \param value   what was found
  /// \param allowed what would have been accepted
  template <class Value>
  BadInput(std::string_view where, std::string_view key, const Value& value,
           std::string_view allowed)
      : BadInput(fmt::format("{}: {} = {}: must be {}", where, key, value, allowed)) {}
};

/// The input is fine but the run cannot go on (exit 3).
class CannotRun : public Error {
 public:
  explicit CannotRun(const std::string& line) : Error(ExitStatus::kCannotRun, line) {}
};

}  // namespace apb
