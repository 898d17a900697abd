#include "cuda/benchmarks/random_values.hpp"
#include "cuda/check.hpp"
#include "cuda/mix_bits.cuh"

namespace apb::cuda {
namespace {

constexpr int kThreads = 256;

/// A thread an element; Box and Muller's way from two uniform numbers to a normal one.
template <class T>
__global__ void normal_kernel(T* values, Index count, float deviation, std::uint64_t seed,
                              Index place) {
  const Index i = static_cast<Index>(blockIdx.x) * kThreads + threadIdx.x;
  if (i >= count) return;
  const std::uint64_t bits = mix(mix(seed) ^ static_cast<std::uint64_t>(place + i));
  const float first = (static_cast<float>(bits >> 40U) + 0.5F) * 0x1p-24F;  // in (0, 1)
  const float second = static_cast<float>(bits & 0xffffffU) * 0x1p-24F;
  values[i] = static_cast<T>(deviation * sqrtf(-2 * logf(first)) * cospif(2 * second));
}

}  // namespace

template <class T>
void fill_normal(T* values, Index count, double deviation, std::uint64_t seed, cudaStream_t stream,
                 Index first) {
  if (count == 0) return;
  const auto blocks = static_cast<unsigned>((count + kThreads - 1) / kThreads);
  normal_kernel<<<blocks, kThreads, 0, stream>>>(values, count, static_cast<float>(deviation), seed,
                                                 first);
  check_launch();
}

template void fill_normal(Bfloat16*, Index, double, std::uint64_t, cudaStream_t, Index);

}  // namespace apb::cuda
