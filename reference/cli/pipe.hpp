#pragma once
/// \file
/// Pipes between processes, closed when they go out of scope.

#include <fcntl.h>
#include <unistd.h>

#include <array>

#include "reference/core/error.hpp"

namespace apb {

/// An open file, by its number.
class Descriptor {
 public:
  explicit Descriptor(int descriptor) : descriptor_(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor(Descriptor&&) = delete;
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() { close(); }

  [[nodiscard]] int get() const { return descriptor_; }
  [[nodiscard]] bool is_open() const { return descriptor_ >= 0; }
  void close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

 private:
  int descriptor_;
};

/// A pipe that programs which this process starts do not inherit.
class Pipe {
 public:
  /// \throws CannotRun if there is no room for one
  Pipe() : Pipe(make()) {}

  Descriptor read_end;
  Descriptor write_end;

 private:
  explicit Pipe(const std::array<int, 2>& ends) : read_end(ends[0]), write_end(ends[1]) {}
  static std::array<int, 2> make() {
    std::array<int, 2> ends{};
    if (pipe2(ends.data(), O_CLOEXEC) != 0) throw CannotRun("cannot make a pipe");
    return ends;
  }
};

}  // namespace apb
