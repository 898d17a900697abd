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

/// One stretch of keys as a tile of rows sees it.
struct TileStretch {
  const KeyStretch* source;
  std::vector<Index> visible;  ///< keys that each row sees
  Index common = 0;            ///< keys that all rows see
  Matrix<double> scores;       ///< [rows, keys that some row sees]; weights later, 0 where unseen

  [[nodiscard]] Index seen(Index i) const { return visible[static_cast<std::size_t>(i)]; }
};

class TileRows {
 public:
  TileRows(const AttentionSetup& setup, std::span<const Index> rows, Index head)
      : setup_(setup), kv_head_(setup.kv_head(head)) {
    query_.resize(std::ssize(rows), setup.query.head_dim);
    for (Index i = 0; i < query_.rows(); ++i) {
      query_.row(i) = head_matrix(setup.query, head).row(rows[static_cast<std::size_t>(i)]);
    }
    for (const KeyStretch& source : setup.keys) {
      TileStretch stretch{&source, {}, 0, {}};
      for (const Index row : rows) {
        stretch.visible.push_back(std::clamp(source.visible(row), Index{0}, source.key.rows));
      }
      const auto [least, most] =
          std::minmax_element(stretch.visible.begin(), stretch.visible.end());
      if (*most == 0) continue;
      stretch.common = *least;
      stretch.scores.resize(query_.rows(), *most);
      stretches_.push_back(std::move(stretch));
    }
  }

  /// Scores of all rows in all stretches, scaled.
  void score() {
    for (TileStretch& stretch : stretches_) {
      multiply_transposed<double>(query_, keys(stretch), stretch.scores);
      stretch.scores *= setup_.softmax_scale;
    }
  }

  /// Scores become weights exp(score - max). \returns lse of every row
  std::vector<double> softmax() {
    std::vector<double> lse;
    for (Index i = 0; i < query_.rows(); ++i) lse.push_back(softmax_row(i));
    return lse;
  }

  /// Sum of weights times values over the sum of weights, [rows, head_dim].
  [[nodiscard]] Matrix<double> weigh_values() const {
    Matrix<double> out = Matrix<double>::Zero(query_.rows(), query_.cols());
    for (const auto& stretch : stretches_) add_values(stretch, out);
    for (Index i = 0; i < out.rows(); ++i) {
      const double sum = weight_sums_[static_cast<std::size_t>(i)];
      if (sum == 0) {
        out.row(i).setZero();
      } else {
        out.row(i) /= sum;
      }
    }
    return out;
  }

  /// Sizes of all rows. After softmax.
  [[nodiscard]] std::vector<RowSizes> rounding_sizes(ValueType weight_type) const {
    std::vector<RowSizesSum> sums(static_cast<std::size_t>(query_.rows()),
                                  RowSizesSum(weight_type));
    Eigen::VectorXf largest = Eigen::VectorXf::Zero(query_.rows());
    const Matrix<float> query = query_.cwiseAbs().cast<float>();
    for (const TileStretch& stretch : stretches_) {
      const Eigen::RowVectorXd norms = value_norms(stretch);
      const Matrix<float> key = keys(stretch).cwiseAbs().cast<float>();
      Matrix<float> sizes(query.rows(), key.rows());
      multiply_transposed<float>(query, key, sizes);
      for (Index i = 0; i < query.rows(); ++i) {
        const Index seen = stretch.seen(i);
        if (seen == 0) continue;
        sums[static_cast<std::size_t>(i)].add(stretch.scores.row(i).head(seen), norms.head(seen));
        const auto own = sizes.row(i).head(seen).array();
        largest[i] = std::max(largest[i], own.isFinite().select(own, 0).maxCoeff());
      }
    }
    std::vector<RowSizes> all;
    for (Index i = 0; i < query.rows(); ++i) {
      all.push_back(sums[static_cast<std::size_t>(i)].finish(std::abs(setup_.softmax_scale) *
                                                             static_cast<double>(largest[i])));
    }
    return all;
  }

 private:
  [[nodiscard]] HeadMatrix<const double> keys(const TileStretch& stretch) const {
    return head_matrix(stretch.source->key.slice(0, stretch.scores.cols()), kv_head_);
  }
  [[nodiscard]] HeadMatrix<const double> values(const TileStretch& stretch) const {
    return head_matrix(stretch.source->value.slice(0, stretch.scores.cols()), kv_head_);
  }

  /// |v| of each key, over its finite elements.
  [[nodiscard]] Eigen::RowVectorXd value_norms(const TileStretch& stretch) const {
    if (stretch.source->value.rows == 0) return Eigen::RowVectorXd::Zero(stretch.scores.cols());
    const auto value = values(stretch);
    return value.array().isFinite().select(value.array(), 0).matrix().rowwise().norm().transpose();
  }

  double softmax_row(Index i) {
    constexpr double kNothing = -std::numeric_limits<double>::infinity();
    double max = kNothing;
    for (const auto& stretch : stretches_) {
      const Index seen = stretch.seen(i);
      if (seen > 0) max = std::max(max, stretch.scores.row(i).head(seen).maxCoeff());
    }
    const double shift = max == kNothing ? 0 : max;  // never -inf - -inf
    double sum = 0;
    for (auto& stretch : stretches_) {
      const Index seen = stretch.seen(i);
      auto weights = stretch.scores.row(i).array();
      weights.head(seen) = (weights.head(seen) - shift).exp();
      // Eigen's exp clamps its argument: a score of -inf would keep a tiny weight.
      for (double& weight : weights.head(seen)) {
        weight = weight < std::numeric_limits<double>::min() ? 0 : weight;
      }
      weights.tail(weights.size() - seen).setZero();
      sum += weights.head(seen).sum();
    }
    weight_sums_.push_back(sum);
    return shift + std::log(sum);
  }

  void add_values(const TileStretch& stretch, Matrix<double>& out) const {
    if (stretch.source->value.rows == 0) return;  // read as 0
    const Index count = stretch.scores.cols();
    const auto value = values(stretch);
    // A weight of 0 hides a finite value, but not NaN: where such values come after the keys that
    // all rows see, every row takes its own keys only.
    const bool safe = value.bottomRows(count - stretch.common).allFinite();
    const Index together = safe ? count : stretch.common;
    if (together > 0) {
      add_product<double>(stretch.scores.leftCols(together), value.topRows(together), out);
    }
    for (Index i = 0; i < out.rows(); ++i) {
      const Index own = stretch.seen(i) - together;
      if (own > 0) {
        add_product<double>(stretch.scores.block(i, together, 1, own),
                            value.middleRows(together, own), out.middleRows(i, 1));
      }
    }
  }

  const AttentionSetup& setup_;
  Index kv_head_;
  Matrix<double> query_;
  std::vector<TileStretch> stretches_;
  std::vector<double> weight_sums_;
};

/// One task: a tile of rows of one head.
/// \param sizes filled if it is given, for weights of a type
void run_tile(const AttentionSetup& setup, Index first, Index count, Index h, AttentionRows& result,
              ValueType weight_type, std::vector<RowSizes>* sizes) {
  const auto rows = std::span<const Index>(result.rows)
                        .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  TileRows tile(setup, rows, result.heads[static_cast<std::size_t>(h)]);
  tile.score();
  const std::vector<double> lse = tile.softmax();
  head_matrix(result.out.view().slice(first, count), h) = tile.weigh_values();
  for (Index i = 0; i < count; ++i) {
    result.lse(first + i, h) = setup.lse_factor * lse[static_cast<std::size_t>(i)];
  }
  if (sizes == nullptr) return;
  const std::vector<RowSizes> own = tile.rounding_sizes(weight_type);
  for (Index i = 0; i < count; ++i) {
    (*sizes)[static_cast<std::size_t>((first + i) * std::ssize(result.heads) + h)] =
        own[static_cast<std::size_t>(i)];
  }
}

AttentionRows compute(const AttentionSetup& setup, std::span<const Index> rows,
                      std::span<const Index> heads, ValueType weight_type,
                      std::vector<RowSizes>* sizes) {
  AttentionRows result{{rows.begin(), rows.end()}, {heads.begin(), heads.end()}, {}, {}};
  const Index num_heads = std::ssize(heads);
  result.out = HeadsTensor<double>(std::ssize(rows), num_heads, setup.query.head_dim);
  result.lse.resize(std::ssize(rows), num_heads);
  if (sizes != nullptr) sizes->resize(rows.size() * heads.size());
  const Index tiles = (std::ssize(rows) + kTileRows - 1) / kTileRows;
  parallel_for(tiles * num_heads, [&](Index task) {
    const Index first = task / num_heads * kTileRows;
    const Index count = std::min(kTileRows, std::ssize(rows) - first);
    run_tile(setup, first, count, task % num_heads, result, weight_type, sizes);
  });
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
  return compute(setup, rows, heads, ValueType::kFloat32, nullptr);
}

MeasuredAttention measured_attention(const AttentionSetup& setup, std::span<const Index> rows,
                                     std::span<const Index> heads, ValueType weight_type) {
  MeasuredAttention measured;
  measured.truth = compute(setup, rows, heads, weight_type, &measured.sizes);
  return measured;
}

}  // namespace apb
