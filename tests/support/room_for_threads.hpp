#pragma once
/// \file
/// Makes threads fail to start, as a limit on processes does (which root would not feel).

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>

namespace apb {

/// While it lives, there is room for `count` more threads in this process: each new one asks for a
/// stack of 1 GiB, and the address space is limited.
class RoomForThreads {
 public:
  explicit RoomForThreads(int count) {
    pthread_getattr_default_np(&attributes_before_);
    getrlimit(RLIMIT_AS, &limit_before_);
    pthread_attr_t attributes = attributes_before_;
    pthread_attr_setstacksize(&attributes, kStackBytes);
    pthread_setattr_default_np(&attributes);
    rlim_t pages = 0;
    std::ifstream("/proc/self/statm") >> pages;
    rlimit limit = limit_before_;
    limit.rlim_cur = pages * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) +
                     static_cast<rlim_t>(count) * kStackBytes + kStackBytes / 2;
    setrlimit(RLIMIT_AS, &limit);
  }
  RoomForThreads(const RoomForThreads&) = delete;
  RoomForThreads& operator=(const RoomForThreads&) = delete;
  RoomForThreads(RoomForThreads&&) = delete;
  RoomForThreads& operator=(RoomForThreads&&) = delete;
  ~RoomForThreads() {
    setrlimit(RLIMIT_AS, &limit_before_);
    pthread_setattr_default_np(&attributes_before_);
    pthread_attr_destroy(&attributes_before_);
  }

 private:
  static constexpr std::size_t kStackBytes = std::size_t{1} << 30U;
  pthread_attr_t attributes_before_{};
  rlimit limit_before_{};
};

}  // namespace apb
