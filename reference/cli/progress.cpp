#include "reference/cli/progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

namespace apb {

Progress::Progress(std::string label, Index num_layers, bool terminal)
    : label_(std::move(label)), num_layers_(num_layers), terminal_(terminal) {}

void Progress::layer_done(Index layers) const {
  if (terminal_) {
    fmt::print(stderr, "\r{}: layer {}/{}\033[K", label_, layers, num_layers_);
  } else if (layers % 10 == 0 || layers == num_layers_) {
    fmt::print(stderr, "{}: layer {}/{}\n", label_, layers, num_layers_);
  }
  std::fflush(stderr);
}

void Progress::clear() const {
  if (terminal_) fmt::print(stderr, "\r\033[K");
}

bool Progress::on_terminal() {
  return isatty(STDERR_FILENO) == 1;
}

}  // namespace apb
