#include "reference/verify/mistakes/wrong_numbers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <numbers>
#include <set>
#include <utility>

#include "reference/verify/mistakes/setup_changes.hpp"

namespace apb {
namespace {

/// What a query head reads if its keys and its values come from KV heads of their own.
AttentionSetup read_from(const AttentionSetup& right, Index key_head, Index value_head) {
  AttentionSetup setup = right;
  for (KeyStretch& stretch : setup.keys) {
    stretch.key = one_head(stretch.key, key_head);
    stretch.value = one_head(stretch.value, value_head);
  }
  setup.kv_head = [](Index) { return Index{0}; };
  return setup;
}

Index swapped(Index head, const std::pair<Index, Index>& two) {
  if (head == two.first) return two.second;
  return head == two.second ? two.first : head;
}

Variant swapped_variant(const AttentionSetup& right, const std::pair<Index, Index>& two, bool keys,
                        bool values) {
  const char* what = keys && values ? "keys and values" : keys ? "keys" : "values";
  return {fmt::format(": {} of KV heads {} and {}", what, two.first, two.second),
          head_by_head([=, &right](Index head) {
            const Index own = right.kv_head(head);
            return read_from(right, keys ? swapped(own, two) : own,
                             values ? swapped(own, two) : own);
          })};
}

}  // namespace

std::vector<Variant> swapped_heads(const Evidence& evidence) {
  const AttentionSetup& right = evidence.wrong.setup;
  const Index kv_heads = right.keys.empty() ? 1 : right.keys.front().key.heads;
  std::set<std::pair<Index, Index>> pairs;
  for (const PairPlace place : evidence.failing) {
    const Index own = right.kv_head(evidence.head(place));
    for (Index other = 0; other < kv_heads; ++other) {
      if (other != own) pairs.insert(std::minmax(own, other));
    }
  }
  std::vector<Variant> variants;
  for (const auto& two : pairs) {
    variants.push_back(swapped_variant(right, two, true, false));
    variants.push_back(swapped_variant(right, two, false, true));
    variants.push_back(swapped_variant(right, two, true, true));
  }
  return variants;
}

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
