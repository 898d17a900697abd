#pragma once
/// \file
/// Query rows and key segments with random contents, for the tests of attend().

#include <vector>

#include "reference/attention/attention.hpp"
#include "reference/core/heads_tensor.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {

inline constexpr auto kAll = Visibility::kAll;
inline constexpr auto kCausal = Visibility::kCausal;

struct HeadShape {
  Index num_q_heads = 1;
  Index num_kv_heads = 1;
  Index head_dim = 8;
};

struct SegmentShape {
  Index keys = 0;
  Visibility visibility = Visibility::kAll;
};

/// Owns what a call of attend() needs.
template <class Scalar>
struct AttentionCase {
  HeadsTensor<Scalar> query;
  std::vector<HeadsTensor<Scalar>> keys;    ///< one per segment
  std::vector<HeadsTensor<Scalar>> values;  ///< one per segment
  std::vector<Visibility> visibilities;
  double softmax_scale = 1;

  AttentionCase(RandomTensors& random, Index rows, const HeadShape& heads,
                const std::vector<SegmentShape>& segments)
      : query(random.heads<Scalar>(rows, heads.num_q_heads, heads.head_dim)) {
    for (const auto& [num_keys, visibility] : segments) {
      keys.push_back(random.heads<Scalar>(num_keys, heads.num_kv_heads, heads.head_dim));
      values.push_back(random.heads<Scalar>(num_keys, heads.num_kv_heads, heads.head_dim));
      visibilities.push_back(visibility);
    }
  }

  [[nodiscard]] HeadsView<const Scalar> query_view() const { return query.view(); }

  [[nodiscard]] std::vector<KeySegment<Scalar>> segments() const {
    std::vector<KeySegment<Scalar>> result;
    for (std::size_t s = 0; s < keys.size(); ++s) {
      result.push_back({keys[s].view(), values[s].view(), visibilities[s]});
    }
    return result;
  }

  [[nodiscard]] Index num_keys() const {
    Index count = 0;
    for (const auto& key : keys) count += key.rows();
    return count;
  }

  [[nodiscard]] AttentionPartial<Scalar> attend_all() const {
    Counters counters;
    return attend<Scalar>(query_view(), segments(), softmax_scale, counters);
  }
};

}  // namespace apb
