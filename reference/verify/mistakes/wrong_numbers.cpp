#include "reference/verify/mistakes/wrong_numbers.hpp"

#include <algorithm>
#include <numbers>

namespace apb {

std::vector<Variant> wrong_head_map(const Evidence& evidence) {
  const AttentionSetup& right = evidence.wrong.setup;
  const Index kv_heads = right.keys.empty() ? 1 : right.keys.front().key.heads;
  AttentionSetup modulo = right;
  modulo.kv_head = [kv_heads](Index head) { return head % kv_heads; };
  AttentionSetup divided = right;
  divided.kv_head = [kv_heads](Index head) { return std::min(head / kv_heads, kv_heads - 1); };
  return {{": query head h reads KV head h % num_kv_heads", std::move(modulo)},
          {": query head h reads KV head h / num_kv_heads", std::move(divided)}};
}

std::vector<Variant> lse_base_2(const Evidence& evidence) {
  AttentionSetup setup = evidence.wrong.setup;
  setup.lse_factor = std::numbers::log2e;
  return {{" instead of natural", std::move(setup)}};
}

std::vector<Variant> wrong_scale(const Evidence& evidence) {
  const double scale = evidence.wrong.setup.softmax_scale;
  const auto scaled = [&](double factor) {
    AttentionSetup setup = evidence.wrong.setup;
    setup.softmax_scale = factor;
    return setup;
  };
  return {{" missing", scaled(1)},
          {" squared", scaled(scale * scale)},
          {" times ln 2: exp2 without log2(e)", scaled(scale * std::numbers::ln2)},
          {" times log2(e) twice", scaled(scale * std::numbers::log2e)}};
}

}  // namespace apb
