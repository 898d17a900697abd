// All of these wait for memory only: a thread reads pairs of neighbours, a warp reads whole lines.

#include "cuda/check.hpp"
#include "cuda/layer/layer_kernels.hpp"
#include "cuda/layer/silu.cuh"

namespace apb::cuda {
namespace {

constexpr int kThreads = 256;

/// Two neighbouring elements; rows begin at a multiple of 4 bytes and have an even number of
/// columns.
template <class T>
struct alignas(4) Pair {
  T first, second;
};

template <class T>
__device__ Pair<T>* pairs_of(T* row) {
  return reinterpret_cast<Pair<T>*>(row);
}
template <class T>
__device__ const Pair<T>* pairs_of(const T* row) {
  return reinterpret_cast<const Pair<T>*>(row);
}

/// Sum over the threads of a block, in a fixed order; the same in every thread.
__device__ float sum_of_block(float value) {
  __shared__ float warp_sums[kThreads / 32];
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(~0U, value, step);
  if (threadIdx.x % 32 == 0) warp_sums[threadIdx.x / 32] = value;
  __syncthreads();
  float sum = 0;
  for (const float its : warp_sums) sum += its;
  return sum;
}

/// A block a row.
template <class T>
__global__ void rms_norm_kernel(DeviceRows<const T> x, const T* weight, float eps,
                                DeviceRows<T> out) {
  const Pair<T>* from = pairs_of(x.data + blockIdx.x * x.row_stride);
  const int pairs = static_cast<int>(x.columns / 2);
  float squares = 0;
  for (int i = static_cast<int>(threadIdx.x); i < pairs; i += kThreads) {
    const Pair<T> pair = from[i];
    const auto first = static_cast<float>(pair.first), second = static_cast<float>(pair.second);
    squares += first * first + second * second;
  }
  const float mean = sum_of_block(squares) / static_cast<float>(x.columns);
  const float factor = 1 / sqrtf(mean + eps);
  Pair<T>* to = pairs_of(out.data + blockIdx.x * out.row_stride);
  for (int i = static_cast<int>(threadIdx.x); i < pairs; i += kThreads) {
    const Pair<T> pair = from[i], its_weight = pairs_of(weight)[i];
    to[i] = {T(static_cast<float>(pair.first) * factor * static_cast<float>(its_weight.first)),
             T(static_cast<float>(pair.second) * factor * static_cast<float>(its_weight.second))};
  }
}

/// Grid: (pieces of a row, rows).
template <class T>
__global__ void swiglu_kernel(DeviceRows<const T> gate, DeviceRows<const T> up, DeviceRows<T> out) {
  const Index i = static_cast<Index>(blockIdx.y) * kThreads + threadIdx.x;
  if (i >= gate.columns / 2) return;
  const Pair<T> its_gate = pairs_of(gate.data + blockIdx.x * gate.row_stride)[i];
  const Pair<T> its_up = pairs_of(up.data + blockIdx.x * up.row_stride)[i];
  pairs_of(out.data + blockIdx.x * out.row_stride)[i] = {
      T(silu(static_cast<float>(its_gate.first)) * static_cast<float>(its_up.first)),
      T(silu(static_cast<float>(its_gate.second)) * static_cast<float>(its_up.second))};
}

/// A block a row; a thread turns one element with its partner in the other half.
template <class T>
__global__ void rope_kernel(DeviceHeads<T> heads, const float* cosine, const float* sine) {
  const int half = static_cast<int>(heads.head_dim / 2);
  const Index row = blockIdx.x;
  for (Index i = threadIdx.x; i < heads.heads * half; i += kThreads) {
    const Index head = i / half, pair = i % half;
    T* first = heads.data + row * heads.row_stride + head * heads.head_stride + pair;
    const float a = static_cast<float>(first[0]), b = static_cast<float>(first[half]);
    const float cos = cosine[row * half + pair], sin = sine[row * half + pair];
    first[0] = T(a * cos - b * sin);
    first[half] = T(b * cos + a * sin);
  }
}

unsigned blocks(Index count) {
  return static_cast<unsigned>(count);
}

}  // namespace

template <class T>
void launch_rms_norm(const DeviceRows<const T>& x, const T* weight, float eps,
                     const DeviceRows<T>& out, cudaStream_t stream) {
  rms_norm_kernel<T><<<blocks(x.rows), kThreads, 0, stream>>>(x, weight, eps, out);
  check_launch();
}

template <class T>
void launch_swiglu(const DeviceRows<const T>& gate, const DeviceRows<const T>& up,
                   const DeviceRows<T>& out, cudaStream_t stream) {
  const dim3 grid(blocks(gate.rows), blocks((gate.columns / 2 + kThreads - 1) / kThreads));
  swiglu_kernel<T><<<grid, kThreads, 0, stream>>>(gate, up, out);
  check_launch();
}

template <class T>
void launch_rope(const DeviceHeads<T>& heads, const float* cosine, const float* sine,
                 cudaStream_t stream) {
  rope_kernel<T><<<blocks(heads.rows), kThreads, 0, stream>>>(heads, cosine, sine);
  check_launch();
}

template void launch_rms_norm(const DeviceRows<const Bfloat16>&, const Bfloat16*, float,
                              const DeviceRows<Bfloat16>&, cudaStream_t);
template void launch_rms_norm(const DeviceRows<const Float16>&, const Float16*, float,
                              const DeviceRows<Float16>&, cudaStream_t);
template void launch_swiglu(const DeviceRows<const Bfloat16>&, const DeviceRows<const Bfloat16>&,
                            const DeviceRows<Bfloat16>&, cudaStream_t);
template void launch_swiglu(const DeviceRows<const Float16>&, const DeviceRows<const Float16>&,
                            const DeviceRows<Float16>&, cudaStream_t);
template void launch_rope(const DeviceHeads<Bfloat16>&, const float*, const float*, cudaStream_t);
template void launch_rope(const DeviceHeads<Float16>&, const float*, const float*, cudaStream_t);

}  // namespace apb::cuda
