#include "tests/verify/grid_kernel.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace apb {
namespace {

constexpr Index kTile = 64;
constexpr float kNothing = -std::numeric_limits<float>::infinity();

struct Key {
  Place place;
  const double* key;
  const double* value;
};

/// Running softmax of one row.
class Row {
 public:
  Row(const GridKernel& kernel, ValueType type, Index head_dim)
      : kernel_(kernel), type_(type), out_(static_cast<std::size_t>(head_dim), 0.0F) {}

  /// Begins a tile whose largest score is this.
  void raise_max(float tile_max) {
    if (!kernel_.shifts) {
      max_ = 0;
      return;
    }
    const float max = std::max(max_, tile_max);
    if (kernel_.rescales && max_ != kNothing) {
      const float shrink = std::exp(max_ - max);
      sum_ *= shrink;
      for (float& element : out_) element *= shrink;
    }
    max_ = max;
  }

  void add(float score, const double* value, bool value_is_zero) {
    const float weight = std::exp(score - max_);
    sum_ += weight;
    if (value_is_zero) return;
    const auto rounded = static_cast<float>(round_to(type_, weight));
    for (std::size_t d = 0; d < out_.size(); ++d) out_[d] += rounded * static_cast<float>(value[d]);
  }

  /// A value that is not seen, times 0.
  void add_hidden(const double* value) {
    for (std::size_t d = 0; d < out_.size(); ++d) out_[d] += 0 * static_cast<float>(value[d]);
  }

  void finish(double* out, double& lse) const {
    for (std::size_t d = 0; d < out_.size(); ++d) {
      out[d] = sum_ == 0 && kernel_.shifts ? 0 : round_to(type_, out_[d] / sum_);
    }
    lse = static_cast<float>(kernel_.lse_factor * (max_ + std::log(sum_)));
  }

 private:
  const GridKernel& kernel_;
  ValueType type_;
  std::vector<float> out_;
  float max_ = kNothing;
  float sum_ = 0;
};

/// All keys of one KV head.
std::vector<Key> keys_of(const CaseRank& rank, Index kv_head) {
  std::vector<Key> keys;
  const auto add = [&](Segment segment, const HeadsTensor<double>& key,
                       const HeadsTensor<double>& value, Index first, Index count) {
    for (Index j = 0; j < count; ++j) {
      keys.push_back(
          {{segment, j}, key.view().at(first + j, kv_head), value.view().at(first + j, kv_head)});
    }
  };
  const Index anchor = rank.layout.anchor_rows;
  add(Segment::kAnchor, rank.key, rank.value, 0, anchor);
  add(Segment::kPassing, rank.passing_key, rank.passing_value, 0, rank.layout.passing_rows);
  add(Segment::kBlock, rank.key, rank.value, anchor, rank.layout.block_len);
  return keys;
}

float score_of(const GridKernel& kernel, const GridShape& shape, const double* query,
               const double* key) {
  float dot = 0;
  for (Index d = 0; d < kernel.head_dim(shape); ++d) {
    dot += static_cast<float>(query[d]) * static_cast<float>(key[d]);
  }
  if (kernel.half_scores) dot = static_cast<float>(Eigen::half(dot));
  return dot * static_cast<float>(kernel.scale(shape));
}

Row attend(const GridKernel& kernel, const GridShape& shape, ValueType type, Place row,
           const double* query, const std::vector<Key>& keys) {
  Row state(kernel, type, shape.head_dim);
  for (auto begin = keys.begin(); begin != keys.end();) {
    const auto end = begin + std::min<std::ptrdiff_t>(kTile, keys.end() - begin);
    std::vector<std::pair<float, const Key*>> seen;
    float tile_max = kNothing;
    for (auto key = begin; key != end; ++key) {
      if (kernel.sees(shape, row, key->place)) {
        seen.emplace_back(score_of(kernel, shape, query, key->key), &*key);
        tile_max = std::max(tile_max, seen.back().first);
      } else if (kernel.weighs_hidden) {
        state.add_hidden(key->value);
      }
    }
    begin = end;
    if (seen.empty()) continue;
    state.raise_max(tile_max);
    for (const auto& [score, key] : seen) {
      state.add(score, key->value, kernel.value_is_zero(shape, key->place));
    }
  }
  return state;
}

}  // namespace

GridOutput run_grid_kernel(const GridKernel& kernel, const GridShape& shape, const GridCall& call,
                           std::size_t item, ValueType type, std::span<const Index> rows) {
  const CaseRank& rank = call.items[kernel.first_item_only ? 0 : item];
  GridOutput result{{std::ssize(rows), shape.heads.num_q_heads, shape.head_dim},
                    Matrix<double>::Zero(std::ssize(rows), shape.heads.num_q_heads)};
  for (Index head = 0; head < shape.heads.num_q_heads; ++head) {
    const std::vector<Key> keys = keys_of(rank, kernel.kv_head(shape, head));
    for (Index i = 0; i < std::ssize(rows); ++i) {
      const Index row = rows[static_cast<std::size_t>(i)];
      if (!kernel.writes(shape, row)) continue;
      const Index anchor = shape.lengths.anchor;
      const Place place =
          row < anchor ? Place{Segment::kAnchor, row} : Place{Segment::kBlock, row - anchor};
      attend(kernel, shape, type, place, rank.query.view().at(row, head), keys)
          .finish(result.out.view().at(i, head), result.lse(i, head));
    }
  }
  return result;
}

}  // namespace apb
