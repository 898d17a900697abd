// A CUDA kernel to start from: attention of rows [anchor, block] over keys [anchor, passing,
// block], a warp a row and head, one key after the other. Right at any length, scale and head_dim,
// and slow.

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "examples/plugin_cuda/device_call.hpp"

namespace {

constexpr int kWarp = 32;
constexpr int kMostPerLane = 16;  // elements of a row that a lane holds: head_dim up to 512

template <class T>
__device__ const T* row_of(const apb_tensor& tensor, std::int64_t batch, std::int64_t row,
                           std::int64_t head) {
  return reinterpret_cast<const T*>(static_cast<const char*>(tensor.data) +
                                    batch * tensor.batch_stride + row * tensor.row_stride +
                                    head * tensor.head_stride);
}

__device__ float sum_of_warp(float value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(~0U, value, step);
  return value;
}

/// Softmax over the keys met so far. Lane l holds elements l, l + 32, … of the row.
struct Online {
  float max = -INFINITY, sum = 0;
  float out[kMostPerLane] = {};

  template <class T>
  __device__ void add(const apb_attention_call& call, const float (&query)[kMostPerLane],
                      const T* key, const T* value) {
    float dot = 0;
    for (int i = 0; i < kMostPerLane; ++i) {
      const std::int64_t element = threadIdx.x + kWarp * i;
      if (element < call.head_dim) dot += query[i] * static_cast<float>(key[element]);
    }
    const float score = sum_of_warp(dot) * static_cast<float>(call.softmax_scale);
    const float new_max = fmaxf(max, score);
    const float shift = new_max == -INFINITY ? 0 : new_max;  // only scores of -inf so far
    const float factor = expf(max - shift), weight = expf(score - shift);
    max = new_max;
    sum = sum * factor + weight;
    for (int i = 0; i < kMostPerLane; ++i) {
      const std::int64_t element = threadIdx.x + kWarp * i;
      if (element < call.head_dim) {
        out[i] = out[i] * factor + weight * static_cast<float>(value[element]);
      }
    }
  }
};

/// Grid: (rows, query heads, batch).
template <class T>
__global__ void simple_attention(const apb_attention_call call) {
  const std::int64_t row = blockIdx.x, head = blockIdx.y, batch = blockIdx.z;
  const std::int64_t kv_head = head / (call.num_q_heads / call.num_kv_heads);
  const std::int64_t anchor_rows = call.anchor.key.rows;
  float query[kMostPerLane] = {};
  for (int i = 0; i < kMostPerLane; ++i) {
    const std::int64_t element = threadIdx.x + kWarp * i;
    if (element < call.head_dim) {
      query[i] = static_cast<float>(row_of<T>(call.query, batch, row, head)[element]);
    }
  }

  Online seen;
  const auto see = [&](const apb_segment& segment, std::int64_t keys) {
    for (std::int64_t key = 0; key < keys; ++key) {
      seen.add(call, query, row_of<T>(segment.key, batch, key, kv_head),
               row_of<T>(segment.value, batch, key, kv_head));
    }
  };
  if (row < anchor_rows) {
    see(call.anchor, row + 1);
  } else {
    see(call.anchor, anchor_rows);
    see(call.passing, call.passing.key.rows);
    const std::int64_t own = row - anchor_rows + 1;
    see(call.block, own < call.block.key.rows ? own : call.block.key.rows);
  }

  T* out = const_cast<T*>(row_of<T>(call.out, batch, row, head));
  for (int i = 0; i < kMostPerLane; ++i) {
    const std::int64_t element = threadIdx.x + kWarp * i;
    if (element < call.head_dim) out[element] = T(seen.sum == 0 ? 0 : seen.out[i] / seen.sum);
  }
  if (threadIdx.x == 0) {
    *const_cast<float*>(row_of<float>(call.lse, batch, row, head)) =
        seen.sum == 0 ? -INFINITY : seen.max + logf(seen.sum);
  }
}

template <class T>
int launch(const apb_attention_call& call) {
  const dim3 grid(static_cast<unsigned>(call.query.rows), static_cast<unsigned>(call.num_q_heads),
                  static_cast<unsigned>(call.batch));
  if (call.query.rows > 0 && call.batch > 0) simple_attention<T><<<grid, kWarp>>>(call);
  return APB_OK;
}

}  // namespace

extern "C" int apb_attention(const apb_attention_call* call) {
  return attend_on_device(call, [](const apb_attention_call& on_device) -> int {
    if (on_device.head_dim > kWarp * kMostPerLane) return APB_UNSUPPORTED;
    switch (on_device.dtype) {
      case APB_FLOAT32:
        return launch<float>(on_device);
      case APB_BFLOAT16:
        return launch<__nv_bfloat16>(on_device);
      case APB_FLOAT16:
        return launch<__half>(on_device);
      default:
        return APB_UNSUPPORTED;
    }
  });
}
