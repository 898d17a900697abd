// Preloaded into a program: a disk that has no locks, as some network file systems are.

#include <sys/file.h>

#include <cerrno>

extern "C" int flock(int /*file*/, int /*operation*/) noexcept {
  errno = ENOLCK;
  return -1;
}
