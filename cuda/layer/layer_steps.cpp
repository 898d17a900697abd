#include "cuda/layer/layer_steps.hpp"

#include <cstdint>
#include <limits>

#include "cuda/layer/layer_kernels.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

constexpr Index kMaxRows = std::numeric_limits<int>::max();

/// \throws BadInput unless rows can be read as pairs of elements
template <class T>
void check_rows(const char* where, const char* name, const DeviceRows<T>& tensor, Index rows,
                Index columns) {
  if (tensor.rows != rows || tensor.columns != columns) {
    throw BadInput(where, fmt::format("{} shape", name),
                   fmt::format("{} x {}", tensor.rows, tensor.columns),
                   fmt::format("{} x {}", rows, columns));
  }
  const auto address = reinterpret_cast<std::uintptr_t>(tensor.data);
  if (tensor.columns % 2 != 0 || tensor.row_stride % 2 != 0 || address % 4 != 0) {
    throw BadInput(where, fmt::format("{} columns, row stride, address", name),
                   fmt::format("{}, {}, {}", tensor.columns, tensor.row_stride, address),
                   "even, even, a multiple of 4");
  }
  if (rows < 0 || rows > kMaxRows || columns < 0 || columns > kMaxRows / 256) {
    throw BadInput(where, fmt::format("{} shape", name), fmt::format("{} x {}", rows, columns),
                   fmt::format("at most {} x {}", kMaxRows, kMaxRows / 256));
  }
}

}  // namespace

template <class T>
void rms_norm(const DeviceRows<const T>& x, const T* weight, double eps, const DeviceRows<T>& out,
              cudaStream_t stream) {
  check_rows("cuda rms_norm", "x", x, x.rows, x.columns);
  check_rows("cuda rms_norm", "out", out, x.rows, x.columns);
  check_rows("cuda rms_norm", "weight", DeviceRows<const T>::dense(weight, 1, x.columns), 1,
             x.columns);
  if (x.rows == 0 || x.columns == 0) return;
  launch_rms_norm(x, weight, static_cast<float>(eps), out, stream);
}

template <class T>
void swiglu(const DeviceRows<const T>& gate, const DeviceRows<const T>& up,
            const DeviceRows<T>& out, cudaStream_t stream) {
  check_rows("cuda swiglu", "gate", gate, gate.rows, gate.columns);
  check_rows("cuda swiglu", "up", up, gate.rows, gate.columns);
  check_rows("cuda swiglu", "out", out, gate.rows, gate.columns);
  if (gate.rows == 0 || gate.columns == 0) return;
  launch_swiglu(gate, up, out, stream);
}

template <class T>
void apply_rope(const DeviceHeads<T>& heads, const float* cosine, const float* sine,
                cudaStream_t stream) {
  if (heads.head_dim % 2 != 0) {
    throw BadInput("cuda rope", "head_dim", heads.head_dim, "even");
  }
  if (heads.rows < 0 || heads.rows > kMaxRows) {
    throw BadInput("cuda rope", "rows", heads.rows, fmt::format("0 to {}", kMaxRows));
  }
  if (heads.rows == 0 || heads.heads * heads.head_dim == 0) return;
  launch_rope(heads, cosine, sine, stream);
}

template void rms_norm(const DeviceRows<const Bfloat16>&, const Bfloat16*, double,
                       const DeviceRows<Bfloat16>&, cudaStream_t);
template void rms_norm(const DeviceRows<const Float16>&, const Float16*, double,
                       const DeviceRows<Float16>&, cudaStream_t);
template void swiglu(const DeviceRows<const Bfloat16>&, const DeviceRows<const Bfloat16>&,
                     const DeviceRows<Bfloat16>&, cudaStream_t);
template void swiglu(const DeviceRows<const Float16>&, const DeviceRows<const Float16>&,
                     const DeviceRows<Float16>&, cudaStream_t);
template void apply_rope(const DeviceHeads<Bfloat16>&, const float*, const float*, cudaStream_t);
template void apply_rope(const DeviceHeads<Float16>&, const float*, const float*, cudaStream_t);

}  // namespace apb::cuda
