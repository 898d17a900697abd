// The three-segment kernel behind the plug-in interface: ./apb verify --plugin
// lib/apb_cuda_attention.so

#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>

#include "cuda/attention/three_segments.hpp"
#include "cuda/device_buffer.hpp"
#include "examples/plugin_cuda/device_call.hpp"

namespace apb::cuda {
namespace {

/// The call's copies were made on the default stream; so is the rest.
constexpr cudaStream_t kStream = nullptr;

/// First byte of one batch entry.
std::byte* entry_of(const apb_tensor& tensor, std::int64_t batch) {
  auto* first = static_cast<std::byte*>(tensor.data);
  return tensor.rows == 0 ? nullptr : first + batch * tensor.batch_stride;
}

/// One batch entry of a tensor in device memory.
template <class T>
DeviceHeads<T> heads_of(const apb_tensor& tensor, std::int64_t batch, Index heads, Index head_dim) {
  constexpr std::int64_t kElementBytes = sizeof(T);
  return {reinterpret_cast<T*>(entry_of(tensor, batch)),
          tensor.rows,
          heads,
          head_dim,
          tensor.row_stride / kElementBytes,
          tensor.head_stride / kElementBytes};
}

/// `attend` gives a dense lse [rows, heads]; the call's may have gaps.
void scatter_lse(const DeviceBuffer<float>& dense, const apb_tensor& lse, std::int64_t batch,
                 Index heads) {
  for (Index head = 0; head < heads && lse.rows > 0; ++head) {
    check(cudaMemcpy2DAsync(entry_of(lse, batch) + head * lse.head_stride,
                            static_cast<std::size_t>(lse.row_stride), dense.data() + head,
                            static_cast<std::size_t>(heads) * sizeof(float), sizeof(float),
                            static_cast<std::size_t>(lse.rows), cudaMemcpyDeviceToDevice, kStream));
  }
}

/// \param call with device pointers
template <class T>
void attend_batch_entry(const apb_attention_call& call, std::int64_t batch) {
  const auto query = heads_of<T>(call.query, batch, call.num_q_heads, call.head_dim);
  const auto out = heads_of<T>(call.out, batch, call.num_q_heads, call.head_dim);
  const DeviceBuffer<float> lse(static_cast<std::size_t>(call.query.rows * call.num_q_heads));
  const auto segment = [&](const apb_segment& its) {
    return KeysAndValues<T>{heads_of<T>(its.key, batch, call.num_kv_heads, call.head_dim),
                            heads_of<T>(its.value, batch, call.num_kv_heads, call.head_dim)};
  };
  const auto rows = [&](Index begin, Index count) {
    return QueryRows<T>{query.slice(begin, count), out.slice(begin, count),
                        lse.data() + begin * call.num_q_heads};
  };
  const Index anchor_rows = call.anchor.key.rows;
  const std::array<KeysAndValues<T>, 1> passing = {segment(call.passing)};
  attend<T>({.anchor_rows = rows(0, anchor_rows),
             .block_rows = rows(anchor_rows, call.query.rows - anchor_rows),
             .anchor = segment(call.anchor),
             .block = segment(call.block),
             .passing = passing,
             .softmax_scale = call.softmax_scale},
            kStream);
  scatter_lse(lse, call.lse, batch, call.num_q_heads);
}

template <class T>
int attend_call(const apb_attention_call& call) {
  for (std::int64_t batch = 0; batch < call.batch; ++batch) attend_batch_entry<T>(call, batch);
  return APB_OK;
}

bool is_supported(const apb_attention_call& call) {
  return (call.head_dim == 64 || call.head_dim == 128) &&
         (call.dtype == APB_BFLOAT16 || call.dtype == APB_FLOAT16);
}

int launch(const apb_attention_call& call) {
  return call.dtype == APB_BFLOAT16 ? attend_call<Bfloat16>(call) : attend_call<Float16>(call);
}

}  // namespace
}  // namespace apb::cuda

extern "C" int apb_attention(const apb_attention_call* call) {
  // Before a GPU is opened.
  if (call->abi_version == APB_ABI_VERSION && !apb::cuda::is_supported(*call)) {
    return APB_UNSUPPORTED;
  }
  try {
    return attend_on_device(call, apb::cuda::launch);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "apb_cuda_attention: %s\n", error.what());
    return 2;
  }
}
