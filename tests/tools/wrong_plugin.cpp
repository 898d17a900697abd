// Plug-in kernels with the faults that `apb verify --plugin` must survive and name; which one is
// chosen by the environment variable APB_WRONG. Built around the example, renamed.

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <numbers>
#include <string>

#include "reference/core/apb_plugin.h"

extern "C" int right_attention(const apb_attention_call* call);

namespace {

float& lse_at(const apb_attention_call& call, int64_t batch, int64_t row, int64_t head) {
  return *reinterpret_cast<float*>(static_cast<char*>(call.lse.data) +
                                   batch * call.lse.batch_stride + row * call.lse.row_stride +
                                   head * call.lse.head_stride);
}

void make_base_2(const apb_attention_call& call) {
  for (int64_t batch = 0; batch < call.batch; ++batch) {
    for (int64_t row = 0; row < call.lse.rows; ++row) {
      for (int64_t head = 0; head < call.num_q_heads; ++head) {
        lse_at(call, batch, row, head) *= std::numbers::log2e_v<float>;
      }
    }
  }
}

/// Calls the right kernel with one thing of the call changed.
int call_changed(const std::string& fault, const apb_attention_call& right) {
  apb_attention_call call = right;
  const auto drop = [](int64_t& rows, int64_t count) { rows = rows > count ? rows - count : 0; };
  if (fault == "tail") drop(call.passing.key.rows, 3);
  if (fault == "scale") call.softmax_scale = 1;
  if (fault == "batch") call.batch = 1;
  const int status = right_attention(&call);
  if (fault == "base2") make_base_2(right);
  if (fault == "gap" && call.query.rows > 0) {
    static_cast<char*>(call.out.data)[call.out.row_stride - 1] = 0;
  }
  if (fault == "input" && call.query.rows > 0) static_cast<char*>(call.query.data)[0] ^= 1;
  return status;
}

}  // namespace

extern "C" int apb_attention(const apb_attention_call* call) {
  const char* chosen = std::getenv("APB_WRONG");
  const std::string fault = chosen == nullptr ? "" : chosen;
  // Few shapes and one type, so that a test of many faults is short.
  const bool large = call->query.rows > 2000;
  if (call->dtype != APB_BFLOAT16 || call->head_dim != 64) return APB_UNSUPPORTED;
  if (call->num_q_heads > 4) return APB_UNSUPPORTED;
  if (call->query.rows > 130 && !(large && fault == "hang")) return APB_UNSUPPORTED;
  if (fault == "crash") std::abort();
  if (fault == "hang" && large) {
    while (true) usleep(1000);
  }
  if (fault == "status") return 7;
  if (fault == "exit") _exit(3);
  if (fault == "unsupported") return APB_UNSUPPORTED;
  if (fault == "talk" && write(STDOUT_FILENO, "hello\n", 6) != 6) return 8;
  if (fault == "nothing") return APB_OK;
  return call_changed(fault, *call);
}
