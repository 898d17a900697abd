#include "reference/cli/progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "reference/core/standard_error.hpp"

namespace apb {

Progress::Progress(std::string label, Index count, bool terminal, std::string unit)
    : label_(std::move(label)), count_(count), terminal_(terminal), unit_(std::move(unit)) {}

void Progress::done(Index units) {
  const Index line_every = std::max<Index>(10, count_ / 10);
  if (terminal_) {
    print_to_stderr(fmt::format("\r{}: {} {}/{}\033[K", label_, unit_, units, count_));
  } else if (units - said_ >= line_every || units == count_) {
    said_ = units;
    print_to_stderr(fmt::format("{}: {} {}/{}\n", label_, unit_, units, count_));
  }
  std::fflush(stderr);
}

void Progress::clear() const {
  if (terminal_) print_to_stderr("\r\033[K");
}

bool Progress::on_terminal() {
  return isatty(STDERR_FILENO) == 1;
}

}  // namespace apb
