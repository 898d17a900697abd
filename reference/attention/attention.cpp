#include "reference/attention/attention.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "reference/core/matrix_product.hpp"
#include "reference/core/parallel_for.hpp"

namespace apb {
namespace {

template <class Scalar>
constexpr Scalar kInfinity = std::numeric_limits<Scalar>::infinity();

/// Keys of a segment that a query row sees: always a prefix.
template <class Scalar>
Index visible_keys(const KeySegment<Scalar>& segment, Index query_row) {
  return segment.visibility == Visibility::kCausal ? query_row + 1 : segment.key.rows;
}

template <class Scalar>
void check_shapes(const HeadsView<const Scalar>& query,
                  std::span<const KeySegment<Scalar>> segments) {
  for (const auto& [key, value, visibility] : segments) {
    if (key.rows != value.rows || key.heads != value.heads || key.head_dim != query.head_dim ||
        value.head_dim != query.head_dim) {
      throw std::invalid_argument("attend: query, key and value shapes differ");
    }
    if (key.heads < 1 || query.heads % key.heads != 0) {
      throw std::invalid_argument("attend: query heads must be a multiple of KV heads");
    }
    if (visibility == Visibility::kCausal && key.rows != query.rows) {
      throw std::invalid_argument("attend: a causal segment needs one key per query row");
    }
  }
}

/// Visible scores of one query row in one segment. Aligned, because Eigen peels unaligned arrays
/// and then exp and sum would round differently from one run to the next.
template <class Scalar>
using ScoreRow = Eigen::Map<Eigen::Array<Scalar, Eigen::Dynamic, 1>, Eigen::AlignedMax>;

/// Elements that every score row starts at a multiple of.
constexpr Index kAlignElements = 16;

constexpr Index round_up(Index count) {
  return (count + kAlignElements - 1) / kAlignElements * kAlignElements;
}

template <class Scalar>
struct RowSoftmax {
  Scalar lse;
  Scalar weight_sum;
};

/// Turns the visible products q·k of one row (a part per segment) into weights exp(score - max),
/// score = scale q·k.
/// \returns the row's lse and the sum of its weights
template <class Scalar>
RowSoftmax<Scalar> softmax_in_place(std::span<ScoreRow<Scalar>> parts, Scalar scale) {
  // A NaN score may or may not be taken for the maximum; either way every weight sum is NaN.
  Scalar max = -kInfinity<Scalar>;
  for (const auto& part : parts) {
    if (part.size() > 0) max = std::max(max, part.maxCoeff());
  }
  // All visible scores are -inf (or NaN), perhaps only once scaled: shifting by 0 gives weights 0
  // (or NaN), never inf - inf.
  Scalar shift = scale * max;
  if (shift == -kInfinity<Scalar>) shift = 0;

  Scalar weight_sum = 0;
  for (auto& part : parts) {
    part = (part * scale - shift).exp();
    // Eigen's exp clamps its argument: a score of -inf would keep a tiny weight.
    for (Scalar& weight : part) {
      weight = weight < std::numeric_limits<Scalar>::min() ? Scalar{0} : weight;
    }
    weight_sum += part.sum();
  }
  return {shift + std::log(weight_sum), weight_sum};
}

/// Attention of query rows [tile_begin, tile_end) of one query head.
template <class Scalar>
class TileAttention {
 public:
  TileAttention(const HeadsView<const Scalar>& query, std::span<const KeySegment<Scalar>> segments,
                Scalar softmax_scale)
      : query_(query), segments_(segments), scale_(softmax_scale) {}

  /// Writes out and lse of the tile. \returns the number of visible (row, key) pairs
  Index run(Index head, Index tile_begin, Index tile_end, AttentionPartial<Scalar>& result) {
    begin_ = tile_begin;
    rows_ = tile_end - tile_begin;
    score(head);
    const Index pairs = softmax(head, result.lse);
    weigh_values(head, result.out.view());
    return pairs;
  }

 private:
  [[nodiscard]] HeadMatrix<const Scalar> kv_head(const HeadsView<const Scalar>& view,
                                                 Index query_head, Index count) const {
    return head_matrix(view.slice(0, count), query_head / (query_.heads / view.heads));
  }

  /// Keys of a segment that some row of the tile sees.
  [[nodiscard]] Index tile_keys(const KeySegment<Scalar>& segment) const {
    return visible_keys(segment, begin_ + rows_ - 1);
  }

  /// Keys of a segment that every row of the tile sees.
  [[nodiscard]] Index common_keys(const KeySegment<Scalar>& segment) const {
    return visible_keys(segment, begin_);
  }

  /// Scores of segment s, [tile rows, keys that the tile sees]; weights after softmax.
  [[nodiscard]] HeadMatrix<Scalar> scores(std::size_t s) {
    return {scores_.data() + first_column_[s], rows_, tile_keys(segments_[s]),
            Eigen::OuterStride<>(row_stride_)};
  }

  /// scores(s) = Q K_s^T for every segment, unscaled.
  void score(Index head) {
    first_column_.clear();
    row_stride_ = 0;
    for (const auto& segment : segments_) {
      first_column_.push_back(row_stride_);
      row_stride_ += round_up(tile_keys(segment));
    }
    if (scores_.size() < rows_ * row_stride_) scores_.resize(rows_ * row_stride_);
    for (std::size_t s = 0; s < segments_.size(); ++s) {
      const Index keys = tile_keys(segments_[s]);
      multiply_transposed<Scalar>(head_matrix(query_.slice(begin_, rows_), head),
                                  kv_head(segments_[s].key, head, keys), scores(s));
    }
  }

  /// Scores become weights. Row sums are kept; rows that see nothing get sum 0.
  Index softmax(Index head, Matrix<Scalar>& lse) {
    Index pairs = 0;
    weight_sums_.resize(static_cast<std::size_t>(rows_));
    for (Index row = 0; row < rows_; ++row) {
      std::vector<ScoreRow<Scalar>> visible;
      for (std::size_t s = 0; s < segments_.size(); ++s) {
        const Index keys = visible_keys(segments_[s], begin_ + row);
        visible.emplace_back(scores_.data() + row * row_stride_ + first_column_[s], keys);
        pairs += keys;
      }
      const auto [row_lse, weight_sum] = softmax_in_place<Scalar>(visible, scale_);
      lse(begin_ + row, head) = row_lse;
      weight_sums_[static_cast<std::size_t>(row)] = weight_sum;
    }
    return pairs;
  }

  /// out = sum over segments of weights * V_s, divided by the sum of weights.
  void weigh_values(Index head, const HeadsView<Scalar>& out_view) {
    auto out = head_matrix(out_view.slice(begin_, rows_), head);
    out.setZero();
    for (std::size_t s = 0; s < segments_.size(); ++s) {
      const Index common = common_keys(segments_[s]);
      const auto weights = scores(s);
      const auto value = kv_head(segments_[s].value, head, weights.cols());
      if (common > 0) {
        add_product<Scalar>(weights.leftCols(common), value.topRows(common), out);
      }
      // The causal corner goes row by row, so that a row never touches values it does not see.
      for (Index row = 0; row < rows_; ++row) {
        const Index own = visible_keys(segments_[s], begin_ + row) - common;
        if (own > 0) {
          add_product<Scalar>(weights.block(row, common, 1, own), value.middleRows(common, own),
                              out.middleRows(row, 1));
        }
      }
    }
    for (Index row = 0; row < rows_; ++row) {
      const Scalar sum = weight_sums_[static_cast<std::size_t>(row)];
      if (sum == Scalar{0}) {
        out.row(row).setZero();
      } else {
        out.row(row) /= sum;
      }
    }
  }

  HeadsView<const Scalar> query_;
  std::span<const KeySegment<Scalar>> segments_;
  Scalar scale_;
  Index begin_ = 0;
  Index rows_ = 0;
  Eigen::Array<Scalar, Eigen::Dynamic, 1> scores_;  ///< tile rows x row_stride_
  std::vector<Index> first_column_;                 ///< of each segment in a score row
  Index row_stride_ = 0;
  std::vector<Scalar> weight_sums_;
};

}  // namespace

template <class Scalar>
AttentionPartial<Scalar> attend(const HeadsView<const Scalar>& query,
                                std::span<const KeySegment<Scalar>> segments, double softmax_scale,
                                Counters& counters) {
  check_shapes(query, segments);
  AttentionPartial<Scalar> result(query.rows, query.heads, query.head_dim);
  const Index tiles = (query.rows + kTileQ - 1) / kTileQ;
  std::atomic<Index> pairs = 0;

  // Later tiles see more keys: they go first, so that no thread is left with a long last task.
  parallel_for_with(tiles * query.heads, [&] {
    TileAttention<Scalar> room(query, segments, static_cast<Scalar>(softmax_scale));
    return [&, tile_attention = std::move(room)](Index task) mutable {
      const Index tile = tiles - 1 - task / query.heads;
      const Index begin = tile * kTileQ;
      pairs += tile_attention.run(task % query.heads, begin, std::min(begin + kTileQ, query.rows),
                                  result);
    };
  });
  counters.attention_flop += 4 * query.head_dim * pairs;
  return result;
}

template AttentionPartial<float> attend(const HeadsView<const float>&,
                                        std::span<const KeySegment<float>>, double, Counters&);
template AttentionPartial<double> attend(const HeadsView<const double>&,
                                         std::span<const KeySegment<double>>, double, Counters&);

}  // namespace apb
