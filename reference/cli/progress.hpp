#pragma once
/// \file
/// How far a long job is, on stderr.

#include <string>

#include "reference/core/index.hpp"

namespace apb {

/// One line that counts layers, or what else there is many of, on stderr: rewritten in place on a
/// terminal, every tenth layer (tenth part of many) elsewhere.
class Progress {
 public:
  Progress(std::string label, Index count, bool terminal, std::string unit = "layer");
  void done(Index units);
  /// Removes the line from a terminal.
  void clear() const;

  /// Whether stderr is a terminal.
  [[nodiscard]] static bool on_terminal();

 private:
  std::string label_;
  Index count_;
  bool terminal_;
  std::string unit_;
  Index said_ = 0;  ///< units at the last line, where lines stay
};

}  // namespace apb
