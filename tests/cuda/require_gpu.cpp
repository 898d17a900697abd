// Part of every test program that needs a GPU: where there is none, the program ends before its
// first test and says so, as ctest's SKIP_RETURN_CODE has it.

#include <cuda_runtime_api.h>

#include <cstdio>
#include <cstdlib>

namespace {

const bool kGpuIsThere = [] {
  int devices = 0;
  const cudaError_t status = cudaGetDeviceCount(&devices);
  if (status != cudaSuccess || devices == 0) {
    std::printf("SKIPPED: not on this machine: no GPU (%s)\n", cudaGetErrorString(status));
    std::fflush(stdout);
    std::_Exit(77);
  }
  return true;
}();

}  // namespace
