#pragma once
/// \file
/// How far a long job is, on stderr.

#include <string>

#include "reference/core/index.hpp"

namespace apb {

/// One line that counts layers on stderr: rewritten in place on a terminal, every tenth layer
/// elsewhere.
class Progress {
 public:
  Progress(std::string label, Index num_layers, bool terminal);
  void layer_done(Index layers) const;
  /// Removes the line from a terminal.
  void clear() const;

  /// Whether stderr is a terminal.
  [[nodiscard]] static bool on_terminal();

 private:
  std::string label_;
  Index num_layers_;
  bool terminal_;
};

}  // namespace apb
