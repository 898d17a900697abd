// The fuzz target of libFuzzer for the readers of case and candidate files: read_edited.hpp.
//
//   cmake --preset fuzz && cmake --build --preset fuzz && mkdir -p build/fuzz/found
//   TMPDIR=/dev/shm build/fuzz/bin/case_reader_fuzz -max_len=97 build/fuzz/found tests/fuzz/corpus
//
// New inputs go to the first folder. Three times as fast: -DAPB_SANITIZE=undefined for the first
// command (libhdf5 allocates 512 KiB for every file that it opens, which costs the address
// sanitizer most), and -use_cmp=0 -entropic=0 for the last.

#include "tests/fuzz/read_edited.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)apb::read_edited(apb::decode_script({data, size}));
  return 0;
}
