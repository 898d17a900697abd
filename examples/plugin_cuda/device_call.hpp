#pragma once
/// \file
/// Between `apb verify --plugin` and a CUDA kernel of yours: copies the call's tensors to the GPU,
/// gives your function the same call with device pointers, and copies its results back. To be
/// copied with apb_plugin.h; needs nothing else.

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "reference/core/apb_plugin.h"

/// Device copies of a call's tensors, with all that lies between their rows: a kernel that reads or
/// writes there is seen by the judge.
class DeviceCall {
 public:
  explicit DeviceCall(const apb_attention_call& host) : call_(host) {
    const std::int64_t q = host.num_q_heads, kv = host.num_kv_heads, d = host.head_dim;
    const std::int64_t element = host.dtype == APB_FLOAT32 ? 4 : 2;
    upload(call_.query, q, d * element);
    for (apb_segment* segment : {&call_.anchor, &call_.passing, &call_.block}) {
      upload(segment->key, kv, d * element);
      upload(segment->value, kv, d * element);
    }
    upload(call_.out, q, d * element);
    upload(call_.lse, q, sizeof(float));
  }
  ~DeviceCall() {
    for (const Copy& copy : copies_) cudaFree(copy.device);
  }
  DeviceCall(const DeviceCall&) = delete;
  DeviceCall& operator=(const DeviceCall&) = delete;

  /// Whether all tensors have arrived; if not, finish() says why.
  [[nodiscard]] bool is_there() const { return error_ == cudaSuccess; }

  /// The call with device pointers; strides as they were.
  [[nodiscard]] const apb_attention_call& call() const { return call_; }

  /// Waits for the GPU and brings out and lse back. \returns the first error of all that was done
  [[nodiscard]] cudaError_t finish() {
    keep(cudaGetLastError());
    keep(cudaDeviceSynchronize());
    for (const Copy& copy : copies_) {
      if (copy.device != call_.out.data && copy.device != call_.lse.data) continue;
      keep(cudaMemcpy(copy.host, copy.device, copy.bytes, cudaMemcpyDeviceToHost));
    }
    return error_;
  }

 private:
  struct Copy {
    void *host, *device;
    std::size_t bytes;
  };

  void keep(cudaError_t status) {
    if (error_ == cudaSuccess) error_ = status;
  }

  /// \param head_bytes of one head of one row
  void upload(apb_tensor& tensor, std::int64_t heads, std::int64_t head_bytes) {
    if (tensor.rows == 0 || call_.batch == 0) {
      tensor.data = nullptr;
      return;
    }
    Copy copy{tensor.data, nullptr,
              static_cast<std::size_t>((call_.batch - 1) * tensor.batch_stride +
                                       (tensor.rows - 1) * tensor.row_stride +
                                       (heads - 1) * tensor.head_stride + head_bytes)};
    keep(cudaMalloc(&copy.device, copy.bytes));
    keep(cudaMemcpy(copy.device, copy.host, copy.bytes, cudaMemcpyHostToDevice));
    tensor.data = copy.device;
    copies_.push_back(copy);
  }

  apb_attention_call call_;
  std::vector<Copy> copies_;
  cudaError_t error_ = cudaSuccess;
};

/// The body of apb_attention. \param launch given a call with device pointers: starts the kernel,
/// returns APB_OK or APB_UNSUPPORTED
template <class Launch>
int attend_on_device(const apb_attention_call* call, const Launch& launch) {
  constexpr int kFailed = 2;
  if (call->abi_version != APB_ABI_VERSION) return kFailed;
  DeviceCall device(*call);
  const int status = device.is_there() ? launch(device.call()) : APB_OK;
  if (status != APB_OK) return status;
  const cudaError_t error = device.finish();
  if (error == cudaSuccess) return APB_OK;
  std::fprintf(stderr, "%s\n", cudaGetErrorString(error));
  return kFailed;
}
