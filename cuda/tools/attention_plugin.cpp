// The three-segment kernel behind the plug-in interface: ./apb verify --plugin
// lib/apb_cuda_attention.so
//
// Every tensor is copied to the device with all that lies between its rows, and `out` whole back
// again: a kernel that reads or writes between rows is seen by the judge.

#include <fmt/core.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <span>
#include <vector>

#include "cuda/attention/three_segments.hpp"
#include "cuda/device_buffer.hpp"
#include "cuda/stream.hpp"
#include "reference/core/apb_plugin.h"

namespace apb::cuda {
namespace {

/// One batch entry of a tensor of the call, on the device; strides as on the host.
template <class T>
class DeviceTensor {
 public:
  DeviceTensor(const apb_tensor& host, std::int64_t batch, Index heads, Index head_dim,
               cudaStream_t stream)
      : host_(static_cast<std::byte*>(host.data) + (host.rows > 0 ? batch * host.batch_stride : 0)),
        size_bytes_(host.rows > 0 ? static_cast<std::size_t>((host.rows - 1) * host.row_stride +
                                                             (heads - 1) * host.head_stride +
                                                             head_dim * kElementBytes)
                                  : 0),
        device_(size_bytes_),
        heads_{reinterpret_cast<T*>(device_.data()),
               host.rows,
               heads,
               head_dim,
               host.row_stride / kElementBytes,
               host.head_stride / kElementBytes} {
    copy_to_device<std::byte>({host_, size_bytes_}, device_.data(), stream);
  }

  [[nodiscard]] const DeviceHeads<T>& heads() const { return heads_; }

  void copy_back(cudaStream_t stream) const {
    check(cudaMemcpyAsync(host_, device_.data(), size_bytes_, cudaMemcpyDeviceToHost, stream));
  }

 private:
  static constexpr std::int64_t kElementBytes = sizeof(T);
  std::byte* host_;
  std::size_t size_bytes_;
  DeviceBuffer<std::byte> device_;
  DeviceHeads<T> heads_;
};

/// `attend` takes a dense lse [rows, num_q_heads]; the call's may have gaps.
void scatter_lse(const std::vector<float>& dense, const apb_tensor& lse, std::int64_t batch,
                 Index heads) {
  for (Index row = 0; row < lse.rows; ++row) {
    for (Index head = 0; head < heads; ++head) {
      auto* target = static_cast<std::byte*>(lse.data) + batch * lse.batch_stride +
                     row * lse.row_stride + head * lse.head_stride;
      *reinterpret_cast<float*>(target) = dense[static_cast<std::size_t>(row * heads + head)];
    }
  }
}

template <class T>
void attend_batch_entry(const apb_attention_call& call, std::int64_t batch, cudaStream_t stream) {
  const auto to_gpu = [&](const apb_tensor& tensor, Index heads) {
    return DeviceTensor<T>(tensor, batch, heads, call.head_dim, stream);
  };
  const auto query = to_gpu(call.query, call.num_q_heads);
  const auto out = to_gpu(call.out, call.num_q_heads);
  const DeviceBuffer<float> lse(static_cast<std::size_t>(call.query.rows * call.num_q_heads));
  const std::array<DeviceTensor<T>, 6> kv = {
      to_gpu(call.anchor.key, call.num_kv_heads),  to_gpu(call.anchor.value, call.num_kv_heads),
      to_gpu(call.passing.key, call.num_kv_heads), to_gpu(call.passing.value, call.num_kv_heads),
      to_gpu(call.block.key, call.num_kv_heads),   to_gpu(call.block.value, call.num_kv_heads)};
  const auto segment = [&](std::size_t first) {
    return KeysAndValues<T>{kv.at(first).heads(), kv.at(first + 1).heads()};
  };
  const Index anchor_rows = call.anchor.key.rows;
  const auto rows = [&](Index begin, Index count) {
    return QueryRows<T>{query.heads().slice(begin, count), out.heads().slice(begin, count),
                        lse.data() + begin * call.num_q_heads};
  };
  const std::array<KeysAndValues<T>, 1> passing = {segment(2)};
  ThreeSegments<T> problem;
  problem.anchor_rows = rows(0, anchor_rows);
  problem.block_rows = rows(anchor_rows, call.query.rows - anchor_rows);
  problem.anchor = segment(0);
  problem.block = segment(4);
  problem.passing = passing;
  problem.softmax_scale = call.softmax_scale;
  attend(problem, stream);
  out.copy_back(stream);
  scatter_lse(to_host(lse, stream), call.lse, batch, call.num_q_heads);  // waits for the stream
}

template <class T>
void attend_call(const apb_attention_call& call) {
  const Stream stream;
  for (std::int64_t batch = 0; batch < call.batch; ++batch) {
    attend_batch_entry<T>(call, batch, stream.get());
  }
}

}  // namespace
}  // namespace apb::cuda

extern "C" int apb_attention(const apb_attention_call* call) {
  constexpr int kFailed = 2;
  if (call->abi_version != APB_ABI_VERSION) return kFailed;
  if (call->head_dim != 64 && call->head_dim != 128) return APB_UNSUPPORTED;
  try {
    switch (call->dtype) {
      case APB_BFLOAT16:
        apb::cuda::attend_call<apb::cuda::Bfloat16>(*call);
        return APB_OK;
      case APB_FLOAT16:
        apb::cuda::attend_call<apb::cuda::Float16>(*call);
        return APB_OK;
      default:
        return APB_UNSUPPORTED;
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "apb_cuda_attention: {}\n", error.what());
    return kFailed;
  }
}
