#include "tests/attention/naive_attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace apb {

template <class Scalar>
double naive_attend_row(const Scalar* query, const std::vector<NaiveKey<Scalar>>& keys,
                        Index head_dim, double softmax_scale, std::span<double> out) {
  constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
  std::vector<double> scores;
  double max = kMinusInfinity;
  for (const auto& [key, value] : keys) {
    double score = 0;
    for (Index i = 0; i < head_dim; ++i) {
      score += static_cast<double>(query[i]) * static_cast<double>(key[i]);
    }
    scores.push_back(softmax_scale * score);
    max = std::max(max, scores.back());
  }
  std::fill(out.begin(), out.end(), 0.0);
  double sum = 0;
  for (std::size_t k = 0; k < keys.size(); ++k) {
    const double weight = scores[k] == kMinusInfinity ? 0.0 : std::exp(scores[k] - max);
    sum += weight;
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] += weight * static_cast<double>(keys[k].value[i]);
    }
  }
  if (sum == 0) return kMinusInfinity;
  for (double& element : out) element /= sum;
  return max + std::log(sum);
}

template <class Scalar>
AttentionPartial<double> naive_attend(const HeadsView<const Scalar>& query,
                                      std::span<const KeySegment<Scalar>> segments,
                                      double softmax_scale) {
  AttentionPartial<double> result(query.rows, query.heads, query.head_dim);
  for (Index row = 0; row < query.rows; ++row) {
    for (Index head = 0; head < query.heads; ++head) {
      std::vector<NaiveKey<Scalar>> keys;
      for (const auto& [key, value, visibility] : segments) {
        const Index kv_head = head / (query.heads / key.heads);
        for (Index j = 0; j < key.rows; ++j) {
          const bool sees = visibility == Visibility::kAll || j <= row;
          if (sees) keys.push_back({key.at(j, kv_head), value.at(j, kv_head)});
        }
      }
      const std::span<double> out(result.out.view().at(row, head),
                                  static_cast<std::size_t>(query.head_dim));
      result.lse(row, head) =
          naive_attend_row(query.at(row, head), keys, query.head_dim, softmax_scale, out);
    }
  }
  return result;
}

template <class Scalar>
AttentionTolerance attention_tolerance(Index head_dim, Index num_keys, double max_score,
                                       double max_value) {
  const auto eps = static_cast<double>(std::numeric_limits<Scalar>::epsilon());
  // A score is a sum of head_dim products, scaled; exp, its shift and the sums cost a few more.
  const double score_error = eps * (static_cast<double>(head_dim) + 4) * max_score;
  const double sum_error = eps * (static_cast<double>(num_keys) + 8);
  return {.out = 2 * (score_error + sum_error) * max_value,
          .lse = score_error + sum_error + 4 * eps * max_score};
}

template double naive_attend_row(const float*, const std::vector<NaiveKey<float>>&, Index, double,
                                 std::span<double>);
template double naive_attend_row(const double*, const std::vector<NaiveKey<double>>&, Index, double,
                                 std::span<double>);
template AttentionPartial<double> naive_attend(const HeadsView<const float>&,
                                               std::span<const KeySegment<float>>, double);
template AttentionPartial<double> naive_attend(const HeadsView<const double>&,
                                               std::span<const KeySegment<double>>, double);
template AttentionTolerance attention_tolerance<float>(Index, Index, double, double);
template AttentionTolerance attention_tolerance<double>(Index, Index, double, double);

}  // namespace apb
