#include "tests/verify/verify_case.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference/attention/block_scores.hpp"
#include "reference/attention/selection.hpp"

namespace apb {
namespace {

using Tensor = HeadsTensor<double>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Tensor rounded_heads(RandomTensors& random, Index rows, Index heads, Index head_dim, double spread,
                     ValueType type) {
  Tensor tensor = random.heads<double>(rows, heads, head_dim);
  for (double& value : tensor.values()) value = round_to(type, spread * value);
  return tensor;
}

ApbConfig config_of(const CaseShape& shape) {
  ApbConfig config;
  config.num_ranks = shape.num_ranks;
  config.block_lens = shape.block_lens;
  for (const Index len : shape.block_lens) config.doc_len += len;
  config.anchor_len = shape.anchor_len;
  config.anchor_convention = shape.convention;
  config.embedded_query_len = shape.query_rows;
  config.num_kept = shape.num_kept;
  config.compressor = shape.num_kept > 0 ? shape.compressor : Compressor::kNone;
  config.pool_kernel = 3;
  config.seed = 5;
  config.num_q_heads = shape.num_q_heads;
  config.num_kv_heads = shape.num_kv_heads;
  config.head_dim = shape.head_dim;
  config.softmax_scale = 1 / std::sqrt(static_cast<double>(shape.head_dim));
  return config;
}

/// Importance by hash, rounded, and what is kept by it.
void select(const ApbConfig& config, ValueType type, CaseRank& rank) {
  Matrix<double> scores(rank.layout.block_len, config.num_kv_heads);
  for (Index row = 0; row < scores.rows(); ++row) {
    for (Index head = 0; head < scores.cols(); ++head) {
      scores(row, head) =
          round_to(type, random_score(config.seed, 0, head, rank.layout.block_begin + row));
    }
  }
  Counters counters;
  auto selection = select_block(scores, rank.layout, config.pool_kernel, counters);
  rank.importance = std::move(selection.importance);
  rank.kept_positions = std::move(selection.kept_positions);
}

/// Passing block of a rank from what the ranks before it keep.
void gather_passing(const std::vector<CaseRank>& lower, CaseRank& rank) {
  const Index heads = rank.key.heads();
  const Index head_dim = rank.key.head_dim();
  rank.passing_key = rank.passing_value = Tensor(rank.layout.passing_rows, heads, head_dim);
  rank.passing_doc_pos.resize(static_cast<std::size_t>(heads));
  for (Index head = 0; head < heads; ++head) {
    Index j = 0;
    for (const CaseRank& from : lower) {
      if (from.layout.num_kept == 0) continue;
      for (const Index pos : from.kept_positions[static_cast<std::size_t>(head)]) {
        const Index row = pos - from.layout.block_begin + from.layout.anchor_rows;
        std::copy_n(from.key.view().at(row, head), head_dim, rank.passing_key.view().at(j, head));
        std::copy_n(from.value.view().at(row, head), head_dim,
                    rank.passing_value.view().at(j, head));
        rank.passing_doc_pos[static_cast<std::size_t>(head)].push_back(pos);
        ++j;
      }
    }
  }
}

/// One row of one head: an online softmax over tiles of keys.
class RowKernel {
 public:
  RowKernel(const Kernel& kernel, Index head_dim)
      : kernel_(kernel), out_(static_cast<std::size_t>(head_dim), 0.0F) {}

  void add_tile(const std::vector<float>& scores, const std::vector<const double*>& values) {
    float tile_max = max_;
    for (const float score : scores) tile_max = std::max(tile_max, score);
    if (tile_max == -kInfinity) return;
    const float shrink = std::exp(max_ - tile_max);
    max_ = tile_max;
    sum_ *= shrink;
    for (float& element : out_) element *= shrink;
    for (std::size_t j = 0; j < scores.size(); ++j) {
      const float weight = std::exp(scores[j] - max_);
      sum_ += weight;
      if (values[j] == nullptr) continue;
      const auto rounded = static_cast<float>(round_to(kernel_.compute_type, weight));
      for (std::size_t d = 0; d < out_.size(); ++d) {
        out_[d] += rounded * static_cast<float>(values[j][d]);
      }
    }
  }

  /// Takes in another part of the keys.
  void merge(const RowKernel& other) {
    if (other.max_ == -kInfinity) return;
    const float max = std::max(max_, other.max_);
    const float mine = std::exp(max_ - max);
    const float theirs = std::exp(other.max_ - max);
    for (std::size_t d = 0; d < out_.size(); ++d) out_[d] = out_[d] * mine + other.out_[d] * theirs;
    sum_ = sum_ * mine + other.sum_ * theirs;
    max_ = max;
  }

  void finish(double* out, double& lse) const {
    for (std::size_t d = 0; d < out_.size(); ++d) {
      out[d] = sum_ == 0 ? 0 : round_to(kernel_.out_type, out_[d] / sum_);
    }
    const float natural = max_ + std::log(sum_);
    lse = sum_ == 0 ? -kInfinity : static_cast<float>(kernel_.lse_factor * natural);
  }

 private:
  const Kernel& kernel_;
  std::vector<float> out_;
  float max_ = -kInfinity;
  float sum_ = 0;
};

struct KeyRef {
  const double* key;
  const double* value;  ///< null: read as 0
  bool hidden;
};

/// The keys that the kernel looks at for one row, in order.
std::vector<KeyRef> keys_of_row(const Kernel& kernel, const CaseRank& rank, Segment segment,
                                Index row, Index kv_head) {
  std::vector<KeyRef> keys;
  const auto add = [&](Segment of, const Tensor& key, const Tensor& value, Index begin,
                       Index count) {
    for (Index j = 0; j < count; ++j) {
      const bool hidden = !kernel.visible(segment, row, of, j);
      if (hidden && kernel.hidden == HiddenKeys::kSkipped) continue;
      keys.push_back({key.view().at(begin + j, kv_head),
                      kernel.value_is_zero(of, j) ? nullptr : value.view().at(begin + j, kv_head),
                      hidden});
    }
  };
  const RankLayout& layout = rank.layout;
  add(Segment::kAnchor, rank.key, rank.value, 0, layout.anchor_rows);
  add(Segment::kPassing, rank.passing_key, rank.passing_value, 0, layout.passing_rows);
  add(Segment::kBlock, rank.key, rank.value, layout.anchor_rows, layout.block_len);
  if (kernel.backwards) std::reverse(keys.begin(), keys.end());
  return keys;
}

float dot(const double* a, const double* b, Index head_dim) {
  float sum = 0;
  for (Index d = 0; d < head_dim; ++d) sum += static_cast<float>(a[d]) * static_cast<float>(b[d]);
  return sum;
}

RowKernel attend_keys(const Kernel& kernel, const double* query, float scale, Index head_dim,
                      std::span<const KeyRef> keys) {
  RowKernel state(kernel, head_dim);
  const auto tile = static_cast<std::size_t>(kernel.tile);
  for (std::size_t begin = 0; begin < keys.size(); begin += tile) {
    std::vector<float> scores;
    std::vector<const double*> values;
    for (const KeyRef& key : keys.subspan(begin, std::min(tile, keys.size() - begin))) {
      const float score = scale * dot(query, key.key, head_dim);
      const float masked = kernel.hidden == HiddenKeys::kAdded ? score - kInfinity : -kInfinity;
      scores.push_back(key.hidden ? masked : score);
      values.push_back(key.value);
    }
    state.add_tile(scores, values);
  }
  return state;
}

}  // namespace

CaseFile make_case(std::uint64_t seed, const CaseShape& shape, ValueType type) {
  RandomTensors random(seed);
  CaseFile case_file;
  case_file.method = shape.num_kept > 0 ? "apb" : "star";
  case_file.config = config_of(shape);
  case_file.value_type = type;
  const BlockLayout layout = make_block_layout(case_file.config);
  for (int r = 0; r < layout.num_ranks(); ++r) {
    CaseRank rank;
    rank.rank = r;
    rank.layout = layout.ranks[static_cast<std::size_t>(r)];
    const Index rows = rank.layout.rows();
    rank.query = rounded_heads(random, rows, shape.num_q_heads, shape.head_dim, shape.spread, type);
    rank.key = rounded_heads(random, rows, shape.num_kv_heads, shape.head_dim, shape.spread, type);
    rank.value = rounded_heads(random, rows, shape.num_kv_heads, shape.head_dim, 1, type);
    if (shape.num_kept > 0) select(case_file.config, type, rank);
    gather_passing(case_file.ranks, rank);
    case_file.ranks.push_back(std::move(rank));
  }
  return case_file;
}

void add_decode(CaseFile& case_file, std::uint64_t seed, Index query_rows) {
  RandomTensors random(seed);
  const ApbConfig& config = case_file.config;
  DecodeCase decode;
  decode.query = rounded_heads(random, query_rows, config.num_q_heads, config.head_dim, 2,
                               case_file.value_type);
  for (const CaseRank& rank : case_file.ranks) {
    const bool last = &rank == &case_file.ranks.back();
    DecodeRank part;
    part.query_keys = last ? query_rows : 0;
    const Index rows = rank.layout.block_len + part.query_keys;
    part.key =
        rounded_heads(random, rows, config.num_kv_heads, config.head_dim, 2, case_file.value_type);
    part.value =
        rounded_heads(random, rows, config.num_kv_heads, config.head_dim, 1, case_file.value_type);
    decode.ranks.push_back(std::move(part));
  }
  case_file.decode = std::move(decode);
}

CandidateRank run_kernel(const Kernel& kernel, const CaseFile& case_file, const CaseRank& rank) {
  const ApbConfig& config = case_file.config;
  const Index rows = rank.layout.rows();
  CandidateRank result;
  result.rank = rank.rank;
  result.out = Tensor(rows, config.num_q_heads, config.head_dim);
  result.lse = Matrix<double>(rows, config.num_q_heads);
  const auto scale = static_cast<float>(kernel.scale(config.softmax_scale));
  for (Index row = 0; row < rows; ++row) {
    const bool in_anchor = row < rank.layout.anchor_rows;
    const Segment segment = in_anchor ? Segment::kAnchor : Segment::kBlock;
    const Index local = in_anchor ? row : row - rank.layout.anchor_rows;
    for (Index head = 0; head < config.num_q_heads; ++head) {
      const Index kv_head = kernel.kv_head(head, config.group_size(), config.num_kv_heads);
      const auto keys = keys_of_row(kernel, rank, segment, local, kv_head);
      RowKernel state(kernel, config.head_dim);
      const auto splits = static_cast<std::size_t>(kernel.splits);
      for (std::size_t part = 0; part < splits; ++part) {
        const std::size_t begin = part * keys.size() / splits;
        const std::size_t end = (part + 1) * keys.size() / splits;
        state.merge(attend_keys(kernel, rank.query.view().at(row, head), scale, config.head_dim,
                                std::span(keys).subspan(begin, end - begin)));
      }
      state.finish(result.out->view().at(row, head), (*result.lse)(row, head));
    }
  }
  return result;
}

CandidateFile run_kernel(const Kernel& kernel, const CaseFile& case_file) {
  CandidateFile candidate{kernel.compute_type, kernel.out_type, {}, {}};
  for (const CaseRank& rank : case_file.ranks) {
    candidate.ranks.push_back(run_kernel(kernel, case_file, rank));
  }
  return candidate;
}

}  // namespace apb
