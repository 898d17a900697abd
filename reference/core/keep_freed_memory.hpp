#pragma once
/// \file
/// How a program that computes keeps its memory.

#include <malloc.h>

namespace apb {

/// Keeps freed buffers in the process instead of giving them back to the system. A layer's
/// activations come and go at every layer; getting their pages anew each time costs a tenth of a
/// prefill. Called once at the start of a program; an allocator other than glibc's may ignore it.
inline void keep_freed_memory() {
  constexpr int kLargestThreshold = 32 << 20;  // bytes; glibc accepts no more
  constexpr int kNeverTrim = 1 << 30;          // bytes
  mallopt(M_MMAP_THRESHOLD, kLargestThreshold);
  mallopt(M_TRIM_THRESHOLD, kNeverTrim);
}

}  // namespace apb
