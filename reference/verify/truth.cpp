#include "reference/verify/truth.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "reference/core/matrix_product.hpp"
#include "reference/core/parallel_for.hpp"

namespace apb {
namespace {

/// Rows of one task. Their scores, [kTileRows, all keys], are what a thread holds.
constexpr Index kTileRows = 128;

/// Rounds to a format of at most 32 bits, ties to even.
template <class Derived>
void round_in_place(ValueType type, Eigen::DenseBase<Derived>& values) {
  if (type == ValueType::kBfloat16) {
    values = values.template cast<Eigen::bfloat16>().template cast<float>();
  } else if (type == ValueType::kFloat16) {
    values = values.template cast<Eigen::half>().template cast<float>();
  }
}

/// How the arithmetic of a task rounds beyond its scalar type.
struct Rounding {
  ValueType weights = ValueType::kFloat64;
  ValueType out = ValueType::kFloat64;
};

/// One stretch of keys as a tile of rows sees it.
template <class Scalar>
struct TileStretch {
  const KeyStretch* source;
  std::vector<Index> visible;  ///< keys that each row sees
  Index common = 0;            ///< keys that all rows see
  Matrix<Scalar> scores;       ///< [rows, keys that some row sees]; weights later, 0 where unseen
};

template <class Scalar>
class TileRows {
 public:
  TileRows(const AttentionSetup& setup, std::span<const Index> rows, Index head)
      : setup_(setup), rows_(rows), head_(head), kv_head_(setup.kv_head(head)) {}

  /// Scores of all rows in all stretches, scaled.
  void score() {
    Matrix<Scalar> query(std::ssize(rows_), setup_.query.head_dim);
    for (Index i = 0; i < query.rows(); ++i) {
      query.row(i) = head_matrix(setup_.query, head_).row(row(i)).template cast<Scalar>();
    }
    for (const KeyStretch& source : setup_.keys) {
      TileStretch<Scalar> stretch{&source, {}, 0, {}};
      for (const Index row : rows_) {
        stretch.visible.push_back(std::clamp(source.visible(row), Index{0}, source.key.rows));
      }
      const auto [least, most] =
          std::minmax_element(stretch.visible.begin(), stretch.visible.end());
      if (*most == 0) continue;
      stretch.common = *least;
      const Matrix<Scalar> key =
          head_matrix(source.key.slice(0, *most), kv_head_).template cast<Scalar>();
      stretch.scores.resize(query.rows(), key.rows());
      multiply_transposed<Scalar>(query, key, stretch.scores);
      stretch.scores *= static_cast<Scalar>(setup_.softmax_scale);
      stretches_.push_back(std::move(stretch));
    }
  }

  /// Largest finite visible |score|. Before softmax.
  [[nodiscard]] double max_abs_score() const {
    double largest = 0;
    for (const auto& stretch : stretches_) {
      for (Index i = 0; i < std::ssize(rows_); ++i) {
        const auto seen = stretch.scores.row(i).head(visible(stretch, i)).array();
        if (seen.size() == 0) continue;
        const Scalar most = seen.isFinite().select(seen.abs(), Scalar{0}).maxCoeff();
        largest = std::max(largest, static_cast<double>(most));
      }
    }
    return largest;
  }

  /// Scores become weights exp(score - max). \returns lse of every row
  std::vector<Scalar> softmax() {
    std::vector<Scalar> lse;
    for (Index i = 0; i < std::ssize(rows_); ++i) lse.push_back(softmax_row(i));
    return lse;
  }

  void round_weights(ValueType type) {
    for (auto& stretch : stretches_) round_in_place(type, stretch.scores);
  }

  /// Sum of weights times values over the sum of weights, [rows, head_dim].
  [[nodiscard]] Matrix<Scalar> weigh_values() const {
    Matrix<Scalar> out = Matrix<Scalar>::Zero(std::ssize(rows_), setup_.query.head_dim);
    for (const auto& stretch : stretches_) add_values(stretch, out);
    for (Index i = 0; i < out.rows(); ++i) {
      const Scalar sum = weight_sums_[static_cast<std::size_t>(i)];
      if (sum == Scalar{0}) {
        out.row(i).setZero();
      } else {
        out.row(i) /= sum;
      }
    }
    return out;
  }

 private:
  [[nodiscard]] Index row(Index i) const { return rows_[static_cast<std::size_t>(i)]; }
  static Index visible(const TileStretch<Scalar>& stretch, Index i) {
    return stretch.visible[static_cast<std::size_t>(i)];
  }

  Scalar softmax_row(Index i) {
    constexpr Scalar kNothing = -std::numeric_limits<Scalar>::infinity();
    Scalar max = kNothing;
    for (const auto& stretch : stretches_) {
      const Index seen = visible(stretch, i);
      if (seen > 0) max = std::max(max, stretch.scores.row(i).head(seen).maxCoeff());
    }
    const Scalar shift = max == kNothing ? Scalar{0} : max;  // never -inf - -inf
    Scalar sum = 0;
    for (auto& stretch : stretches_) {
      const Index seen = visible(stretch, i);
      auto weights = stretch.scores.row(i).array();
      weights.head(seen) = (weights.head(seen) - shift).exp();
      // Eigen's exp clamps its argument: a score of -inf would keep a tiny weight.
      for (Scalar& weight : weights.head(seen)) {
        weight = weight < std::numeric_limits<Scalar>::min() ? Scalar{0} : weight;
      }
      weights.tail(weights.size() - seen).setZero();
      sum += weights.head(seen).sum();
    }
    weight_sums_.push_back(sum);
    return shift + std::log(sum);
  }

  void add_values(const TileStretch<Scalar>& stretch, Matrix<Scalar>& out) const {
    if (stretch.source->value.rows == 0) return;  // read as 0
    const Index keys = stretch.scores.cols();
    const Matrix<Scalar> value =
        head_matrix(stretch.source->value.slice(0, keys), kv_head_).template cast<Scalar>();
    // A weight of 0 hides a finite value, but not NaN: where such values come after the keys that
    // all rows see, every row takes its own keys only.
    const bool safe = value.bottomRows(keys - stretch.common).allFinite();
    const Index together = safe ? keys : stretch.common;
    if (together > 0) {
      add_product<Scalar>(stretch.scores.leftCols(together), value.topRows(together), out);
    }
    for (Index i = 0; i < out.rows(); ++i) {
      const Index own = visible(stretch, i) - together;
      if (own > 0) {
        add_product<Scalar>(stretch.scores.block(i, together, 1, own),
                            value.middleRows(together, own), out.middleRows(i, 1));
      }
    }
  }

  const AttentionSetup& setup_;
  std::span<const Index> rows_;
  Index head_;
  Index kv_head_;
  std::vector<TileStretch<Scalar>> stretches_;
  std::vector<Scalar> weight_sums_;
};

/// One task: a tile of rows of one head. \returns its largest |score|
template <class Scalar>
double run_tile(const AttentionSetup& setup, Index first, Index count, Index h, Rounding rounding,
                AttentionRows& result) {
  const auto rows = std::span<const Index>(result.rows)
                        .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  TileRows<Scalar> tile(setup, rows, result.heads[static_cast<std::size_t>(h)]);
  tile.score();
  const double max_abs_score = tile.max_abs_score();
  const std::vector<Scalar> lse = tile.softmax();
  if constexpr (std::is_same_v<Scalar, float>) tile.round_weights(rounding.weights);
  Matrix<Scalar> out = tile.weigh_values();
  if constexpr (std::is_same_v<Scalar, float>) round_in_place(rounding.out, out);
  head_matrix(result.out.view().slice(first, count), h) = out.template cast<double>();
  for (Index i = 0; i < count; ++i) {
    result.lse(first + i, h) =
        setup.lse_factor * static_cast<double>(lse[static_cast<std::size_t>(i)]);
  }
  return max_abs_score;
}

template <class Scalar>
AttentionRows compute(const AttentionSetup& setup, std::span<const Index> rows,
                      std::span<const Index> heads, Rounding rounding) {
  AttentionRows result{{rows.begin(), rows.end()}, {heads.begin(), heads.end()}, {}, {}, 0};
  const Index num_heads = std::ssize(heads);
  result.out = HeadsTensor<double>(std::ssize(rows), num_heads, setup.query.head_dim);
  result.lse.resize(std::ssize(rows), num_heads);
  const Index tiles = (std::ssize(rows) + kTileRows - 1) / kTileRows;
  std::vector<double> max_abs_scores(static_cast<std::size_t>(tiles * num_heads), 0);
  parallel_for(tiles * num_heads, [&](Index task) {
    const Index first = task / num_heads * kTileRows;
    const Index count = std::min(kTileRows, std::ssize(rows) - first);
    max_abs_scores[static_cast<std::size_t>(task)] =
        run_tile<Scalar>(setup, first, count, task % num_heads, rounding, result);
  });
  for (const double score : max_abs_scores) {
    result.max_abs_score = std::max(result.max_abs_score, score);
  }
  return result;
}

}  // namespace

std::vector<Index> count_up(Index count) {
  std::vector<Index> numbers(static_cast<std::size_t>(count));
  std::iota(numbers.begin(), numbers.end(), Index{0});
  return numbers;
}

AttentionRows true_attention(const AttentionSetup& setup, std::span<const Index> rows,
                             std::span<const Index> heads) {
  return compute<double>(setup, rows, heads, {});
}

AttentionRows plain_attention(const AttentionSetup& setup, std::span<const Index> rows,
                              std::span<const Index> heads, ValueType compute_type,
                              ValueType out_type) {
  return compute<float>(setup, rows, heads, {compute_type, out_type});
}

}  // namespace apb
