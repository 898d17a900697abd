#include "reference/attention/selection.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace apb {

template <class Scalar>
Matrix<Scalar> max_pool(const Matrix<Scalar>& scores, Index kernel) {
  const Index reach = kernel / 2;
  Matrix<Scalar> pooled(scores.rows(), scores.cols());
  for (Index row = 0; row < scores.rows(); ++row) {
    const Index begin = std::max(row - reach, Index{0});
    const Index end = std::min(row + reach + 1, scores.rows());
    for (Index column = 0; column < scores.cols(); ++column) {
      Scalar max = scores(begin, column);
      for (Index near = begin + 1; near < end; ++near) {
        const Scalar score = scores(near, column);
        if (score > max || std::isnan(score)) max = score;
      }
      pooled(row, column) = max;
    }
  }
  return pooled;
}

template <class Scalar>
std::vector<Index> select_top_k(std::span<const Scalar> values, Index count,
                                std::int64_t& nan_count) {
  nan_count += std::count_if(values.begin(), values.end(), [](Scalar v) { return std::isnan(v); });
  const auto comes_first = [&](Index a, Index b) {
    const Scalar value_a = values[static_cast<std::size_t>(a)];
    const Scalar value_b = values[static_cast<std::size_t>(b)];
    if (std::isnan(value_a) || std::isnan(value_b)) {
      return std::isnan(value_a) == std::isnan(value_b) ? a < b : std::isnan(value_b);
    }
    return value_a != value_b ? value_a > value_b : a < b;
  };
  std::vector<Index> order(values.size());
  std::iota(order.begin(), order.end(), Index{0});
  const auto kept = std::min(count, std::ssize(values));
  std::nth_element(order.begin(), order.begin() + kept, order.end(), comes_first);
  order.resize(static_cast<std::size_t>(kept));
  std::sort(order.begin(), order.end());
  return order;
}

template <class Scalar>
Selection<Scalar> select_block(const Matrix<Scalar>& scores, const RankLayout& layout,
                               Index pool_kernel, Counters& counters) {
  Selection<Scalar> selection;
  selection.importance = max_pool(scores, pool_kernel);
  const Index excluded = layout.candidate_begin - layout.block_begin;
  selection.importance.topRows(excluded).setConstant(-std::numeric_limits<Scalar>::infinity());

  for (Index head = 0; head < scores.cols(); ++head) {
    std::vector<Scalar> candidates;
    for (Index row = excluded; row < scores.rows(); ++row) {
      candidates.push_back(selection.importance(row, head));
    }
    auto kept = select_top_k<Scalar>(candidates, layout.num_kept, counters.nan_scores);
    for (Index& index : kept) index += layout.candidate_begin;
    selection.kept_positions.push_back(std::move(kept));
  }
  return selection;
}

template Matrix<float> max_pool(const Matrix<float>&, Index);
template Matrix<double> max_pool(const Matrix<double>&, Index);
template std::vector<Index> select_top_k(std::span<const float>, Index, std::int64_t&);
template std::vector<Index> select_top_k(std::span<const double>, Index, std::int64_t&);
template Selection<float> select_block(const Matrix<float>&, const RankLayout&, Index, Counters&);
template Selection<double> select_block(const Matrix<double>&, const RankLayout&, Index, Counters&);

}  // namespace apb
