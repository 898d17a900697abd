// The fuzz target of libFuzzer: see read_edited.hpp. Preset `fuzz`, then
//
//   build/fuzz/bin/case_reader_fuzz -runs=1000000 build/fuzz/found tests/fuzz/corpus

#include "tests/fuzz/read_edited.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  (void)apb::read_edited(apb::decode_script({data, size}));
  return 0;
}
