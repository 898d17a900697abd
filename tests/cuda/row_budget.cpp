#include "tests/cuda/row_budget.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <ostream>

#include "reference/core/matrix_product.hpp"

namespace apb {
namespace {

using Vector = Eigen::VectorXd;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// What one query row of one head sees.
struct VisibleRow {
  Vector scores;                                       ///< scaled
  Eigen::Array<float, Eigen::Dynamic, 1> fp32_scores;  ///< the same, computed in fp32
  Vector value_norms;
};

/// Scores of all rows of one head with the keys of one segment, seen or not.
struct SegmentScores {
  Visibility visibility = Visibility::kAll;
  Matrix<double> scores;      ///< [rows, keys], scaled
  Matrix<float> fp32_scores;  ///< the same, computed in fp32
  Vector value_norms;         ///< [keys]
};

std::vector<SegmentScores> head_scores(const HeadsView<const double>& query,
                                       std::span<const KeySegment<double>> segments,
                                       double softmax_scale, Index head) {
  const Matrix<double> q = head_matrix(query, head);
  std::vector<SegmentScores> all;
  for (const auto& [key, value, visibility] : segments) {
    if (key.rows == 0) continue;
    const Index kv_head = head / (query.heads / key.heads);
    const Matrix<double> k = head_matrix(key, kv_head);
    SegmentScores& its = all.emplace_back();
    its.visibility = visibility;
    its.scores = Matrix<double>(q.rows(), k.rows());
    its.fp32_scores = Matrix<float>(q.rows(), k.rows());
    multiply_transposed<double>(q, k, its.scores);
    multiply_transposed<float>(q.cast<float>(), k.cast<float>(), its.fp32_scores);
    its.scores *= softmax_scale;
    its.fp32_scores *= static_cast<float>(softmax_scale);
    its.value_norms = head_matrix(value, kv_head).rowwise().norm();
  }
  return all;
}

VisibleRow visible_row(const std::vector<SegmentScores>& segments, Index row) {
  const auto visible = [row](const SegmentScores& its) {
    return its.visibility == Visibility::kCausal ? row + 1 : its.scores.cols();
  };
  Index count = 0;
  for (const SegmentScores& its : segments) count += visible(its);
  VisibleRow seen{Vector(count), Eigen::ArrayXf(count), Vector(count)};
  Index begin = 0;
  for (const SegmentScores& its : segments) {
    const Index keys = visible(its);
    seen.scores.segment(begin, keys) = its.scores.row(row).head(keys);
    seen.fp32_scores.segment(begin, keys) = its.fp32_scores.row(row).head(keys);
    seen.value_norms.segment(begin, keys) = its.value_norms.head(keys);
    begin += keys;
  }
  return seen;
}

/// lse from fp32 scores and an fp32 sum in key order.
double plain_lse(const VisibleRow& row) {
  const float max = row.fp32_scores.maxCoeff();
  float sum = 0;
  for (const float score : row.fp32_scores) sum += std::exp(score - max);
  return static_cast<double>(max + std::log(sum));
}

double largest_score(const VisibleRow& row) {
  return std::max(1.0, row.scores.cwiseAbs().maxCoeff());
}

/// found / allowed, and more than 1 for NaN.
double share_of(double found, double allowed) {
  if (found == 0) return 0;
  return std::isnan(found) ? kInfinity : found / allowed;
}

/// Infinity, NaN, or the zero of a row that sees nothing.
bool is_special(double value) {
  return !std::isfinite(value) || value == 0;
}

bool same_special(double found, double expected) {
  return std::isnan(expected) ? std::isnan(found) : found == expected;
}

struct Sums {
  double squared_error = 0, squared_budget = 0;  ///< of all rows
  double signed_error = 0, last_places = 0;
  Index pairs = 0;
};

void judge_row(ValueType type, const VisibleRow& seen, const AttentionPartial<double>& truth,
               const HeadsTensor<double>& out, const Matrix<double>& lse, Index row, Index head,
               BudgetUse& use, Sums& sums) {
  const double unit = half_place(type, 1);
  const Index head_dim = out.head_dim();
  const Eigen::Map<const Vector> candidate(out.view().at(row, head), head_dim);
  const Eigen::Map<const Vector> o(truth.out.view().at(row, head), head_dim);
  const double true_lse = truth.lse(row, head);
  if (!std::isfinite(true_lse)) {
    use.special_values_right &= same_special(lse(row, head), true_lse);
  } else {
    const double size = largest_score(seen);
    const double plain = std::abs(plain_lse(seen) - true_lse);
    use.lse = std::max(use.lse,
                       share_of(std::abs(lse(row, head) - true_lse), 2 * plain + 0x1p-21 * size));
  }
  if (!std::isfinite(true_lse) || !o.allFinite()) {
    for (Index i = 0; i < head_dim; ++i) {
      use.special_values_right &=
          is_special(o[i]) ? same_special(candidate[i], o[i]) : std::isfinite(candidate[i]);
    }
    return;
  }
  const Eigen::ArrayXd p = (seen.scores.array() - true_lse).exp();
  const double size = largest_score(seen);
  const double nu = (p * seen.value_norms.array()).matrix().norm();
  const double sigma = (p * seen.value_norms.array()).sum() + o.norm();
  const double error = (candidate - o).norm();
  const double row_share = share_of(error, 2.5 * unit * (nu + o.norm()) + 0x1p-21 * size * sigma);
  if (row_share >= use.row) {
    use.row = row_share;
    use.worst_row = row;
    use.worst_head = head;
  }
  sums.squared_error += error * error;
  sums.squared_budget += (std::pow(unit * nu, 2) + std::pow(unit * o.norm(), 2)) / 3 +
                         std::pow(0x1p-21 * size * sigma / 4, 2);
  for (Index i = 0; i < head_dim; ++i) {
    if (o[i] == 0) continue;
    sums.signed_error += std::copysign(1.0, o[i]) * (candidate[i] - o[i]);
    sums.last_places += 2 * half_place(type, o[i]);
  }
  ++sums.pairs;
}

}  // namespace

std::ostream& operator<<(std::ostream& stream, const BudgetUse& use) {
  return stream << "row " << use.row << " (row " << use.worst_row << ", head " << use.worst_head
                << "), all rows " << use.all_rows << ", bias " << use.bias << ", lse " << use.lse
                << (use.special_values_right ? "" : ", NaN or rows without a key wrong");
}

BudgetUse budget_use(ValueType type, const HeadsView<const double>& query,
                     std::span<const KeySegment<double>> segments, double softmax_scale,
                     const HeadsTensor<double>& out, const Matrix<double>& lse) {
  Counters counters;
  const auto truth = attend<double>(query, segments, softmax_scale, counters);
  BudgetUse use;
  Sums sums;
  for (Index head = 0; head < query.heads; ++head) {
    const auto scores = head_scores(query, segments, softmax_scale, head);
    for (Index row = 0; row < query.rows; ++row) {
      judge_row(type, visible_row(scores, row), truth, out, lse, row, head, use, sums);
    }
  }
  if (sums.pairs >= 256) {
    use.all_rows = sums.squared_error / sums.squared_budget;
    // In fp32 the error is that of the scores, many last places and of either sign.
    if (type != ValueType::kFloat32)
      use.bias = std::abs(sums.signed_error / sums.last_places) / 0.3;
  }
  return use;
}

}  // namespace apb
