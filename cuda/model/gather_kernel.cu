#include "cuda/check.hpp"
#include "cuda/model/gather_kernel.hpp"

namespace apb::cuda {
namespace {

constexpr int kThreads = 256;

/// A block a row, pairs of elements a thread.
template <class T>
__global__ void gather_kernel(DeviceRows<const T> table, const Index* rows, DeviceRows<T> out) {
  const auto* from =
      reinterpret_cast<const std::uint32_t*>(table.data + rows[blockIdx.x] * table.row_stride);
  auto* to = reinterpret_cast<std::uint32_t*>(out.data + blockIdx.x * out.row_stride);
  for (Index pair = threadIdx.x; pair < table.columns / 2; pair += kThreads) to[pair] = from[pair];
}

}  // namespace

template <class T>
void launch_gather(const DeviceRows<const T>& table, const Index* rows, const DeviceRows<T>& out,
                   cudaStream_t stream) {
  gather_kernel<T><<<static_cast<unsigned>(out.rows), kThreads, 0, stream>>>(table, rows, out);
  check_launch();
}

template void launch_gather(const DeviceRows<const Bfloat16>&, const Index*,
                            const DeviceRows<Bfloat16>&, cudaStream_t);
template void launch_gather(const DeviceRows<const Float16>&, const Index*,
                            const DeviceRows<Float16>&, cudaStream_t);

}  // namespace apb::cuda
