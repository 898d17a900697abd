// A kernel for `apb verify --plugin`: attention by an online softmax over tiles of keys, in plain
// C++. Build it as a shared library:
//
//   c++ -std=c++20 -O2 -fPIC -shared -I . examples/plugin/tiled_attention.cpp -o tiled_attention.so
//   ./apb verify --plugin tiled_attention.so

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "reference/core/apb_plugin.h"

namespace {

constexpr int64_t kTileKv = 64;
constexpr float kNothing = -std::numeric_limits<float>::infinity();

/// The upper half of a float's bits, ties to even.
struct Bfloat16 {
  uint16_t bits;
  explicit operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16U); }
  static Bfloat16 from(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const uint32_t rounded = bits + 0x7fffU + ((bits >> 16U) & 1U);
    return {static_cast<uint16_t>((std::isnan(value) ? bits | 0x400000U : rounded) >> 16U)};
  }
};

struct Float32 {
  float value;
  explicit operator float() const { return value; }
  static Float32 from(float value) { return {value}; }
};

template <class Element>
Element* at(const apb_tensor& tensor, int64_t batch, int64_t row, int64_t head) {
  return reinterpret_cast<Element*>(static_cast<char*>(tensor.data) + batch * tensor.batch_stride +
                                    row * tensor.row_stride + head * tensor.head_stride);
}

/// Running softmax of one query row.
struct OnlineSoftmax {
  std::vector<float> out;
  float max = kNothing;
  float sum = 0;
};

/// Takes in keys [begin, end) of a segment, at most a tile.
template <class Element>
void add_tile(const apb_attention_call& call, const apb_segment& segment, int64_t batch,
              int64_t kv_head, int64_t begin, int64_t end, const Element* query,
              OnlineSoftmax& state) {
  std::vector<float> weights;
  float max = state.max;
  for (int64_t key_row = begin; key_row < end; ++key_row) {
    const auto* key = at<const Element>(segment.key, batch, key_row, kv_head);
    float score = 0;
    for (int64_t d = 0; d < call.head_dim; ++d) {
      score += static_cast<float>(query[d]) * static_cast<float>(key[d]);
    }
    weights.push_back(score * static_cast<float>(call.softmax_scale));
    max = std::max(max, weights.back());
  }
  if (max == kNothing) return;
  const float shrink = std::exp(state.max - max);
  for (float& element : state.out) element *= shrink;
  state.sum *= shrink;
  state.max = max;
  float sum = 0;  // of the tile: thousands of weights added one by one would lose bits
  for (int64_t key_row = begin; key_row < end; ++key_row) {
    const float weight = std::exp(weights[static_cast<size_t>(key_row - begin)] - max);
    const auto rounded = static_cast<float>(Element::from(weight));
    const auto* value = at<const Element>(segment.value, batch, key_row, kv_head);
    sum += weight;
    for (size_t d = 0; d < state.out.size(); ++d)
      state.out[d] += rounded * static_cast<float>(value[d]);
  }
  state.sum += sum;
}

template <class Element>
void attend_row(const apb_attention_call& call, int64_t batch, int64_t row, int64_t head) {
  const int64_t anchor_rows = call.anchor.key.rows;
  const bool in_anchor = row < anchor_rows;
  const int64_t kv_head = head / (call.num_q_heads / call.num_kv_heads);
  const auto* query = at<const Element>(call.query, batch, row, head);
  OnlineSoftmax state{std::vector<float>(static_cast<size_t>(call.head_dim))};
  const auto add = [&](const apb_segment& segment, int64_t keys) {
    for (int64_t begin = 0; begin < keys; begin += kTileKv) {
      add_tile(call, segment, batch, kv_head, begin, std::min(begin + kTileKv, keys), query, state);
    }
  };
  add(call.anchor, in_anchor ? row + 1 : anchor_rows);
  if (!in_anchor) {
    add(call.passing, call.passing.key.rows);
    add(call.block, row - anchor_rows + 1);
  }
  auto* out = at<Element>(call.out, batch, row, head);
  for (int64_t d = 0; d < call.head_dim; ++d) {
    const float sum = state.out[static_cast<size_t>(d)];
    out[d] = Element::from(state.sum == 0 ? 0 : sum / state.sum);
  }
  *at<float>(call.lse, batch, row, head) =
      state.sum == 0 ? kNothing : state.max + std::log(state.sum);
}

template <class Element>
int attend_all(const apb_attention_call& call) {
  for (int64_t batch = 0; batch < call.batch; ++batch) {
    for (int64_t row = 0; row < call.query.rows; ++row) {
      for (int64_t head = 0; head < call.num_q_heads; ++head) {
        attend_row<Element>(call, batch, row, head);
      }
    }
  }
  return APB_OK;
}

}  // namespace

extern "C" int apb_attention(const apb_attention_call* call) {
  if (call->abi_version != APB_ABI_VERSION) return 2;
  if (call->dtype == APB_FLOAT32) return attend_all<Float32>(*call);
  if (call->dtype == APB_BFLOAT16) return attend_all<Bfloat16>(*call);
  return APB_UNSUPPORTED;
}
