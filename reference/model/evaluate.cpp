#include "reference/model/evaluate.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "reference/core/parallel_for.hpp"
#include "reference/model/decode.hpp"

namespace apb {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

int ranks_with_rows(const BlockLayout& layout) {
  return static_cast<int>(std::count_if(layout.ranks.begin(), layout.ranks.end(),
                                        [](const RankLayout& rank) { return rank.rows() > 0; }));
}

/// The same number of elements from every rank.
template <class T>
std::vector<T> gather_equal(const std::vector<T>& mine, Communicator& communicator) {
  const std::vector<std::size_t> counts(static_cast<std::size_t>(communicator.num_ranks()),
                                        mine.size());
  return communicator.all_gather<T>(mine, counts);
}

std::vector<std::vector<Counters>> gather_counters(const std::vector<Counters>& mine,
                                                   Communicator& communicator) {
  const std::vector<Counters> all = gather_equal(mine, communicator);
  std::vector<std::vector<Counters>> by_rank;
  for (auto rank = all.begin(); rank != all.end(); rank += std::ssize(mine)) {
    by_rank.emplace_back(rank, rank + std::ssize(mine));
  }
  return by_rank;
}

/// One layer's selections of all ranks; empty if the method keeps nothing.
template <class Scalar>
std::vector<Selection<Scalar>> gather_selections(const Selection<Scalar>& mine,
                                                 const RankContext& context) {
  const Index heads = context.config.num_kv_heads;
  std::vector<std::size_t> importance_counts;
  std::vector<std::size_t> kept_counts;
  for (const RankLayout& rank : context.layout.ranks) {
    importance_counts.push_back(static_cast<std::size_t>(rank.block_len * heads));
    kept_counts.push_back(static_cast<std::size_t>(rank.num_kept * heads));
  }
  std::vector<Index> my_kept;
  for (const auto& head : mine.kept_positions) {
    my_kept.insert(my_kept.end(), head.begin(), head.end());
  }
  const auto importance = context.communicator.all_gather<Scalar>(
      {mine.importance.data(), static_cast<std::size_t>(mine.importance.size())},
      importance_counts);
  const auto kept = context.communicator.all_gather<Index>(my_kept, kept_counts);

  std::vector<Selection<Scalar>> all;
  const Scalar* next_importance = importance.data();
  auto next_kept = kept.begin();
  for (const RankLayout& rank : context.layout.ranks) {
    auto& selection = all.emplace_back();
    selection.importance = Eigen::Map<const Matrix<Scalar>>(next_importance, rank.block_len, heads);
    next_importance += rank.block_len * heads;
    for (Index head = 0; head < heads; ++head) {
      selection.kept_positions.emplace_back(next_kept, next_kept + rank.num_kept);
      next_kept += rank.num_kept;
    }
  }
  return all;
}

}  // namespace

template <class Scalar>
Evaluation<Scalar> evaluate(const EvaluationRequest& request, const ModelWeights<Scalar>& weights,
                            const RankEnvironment& environment,
                            const std::function<void(Index)>& on_layer) {
  Communicator& communicator = environment.communicator;
  const BlockLayout layout = method_layout(request.method, request.config);
  const RankContext context{request.config, layout, communicator};
  const auto start = Clock::now();

  set_num_threads(environment.threads(ranks_with_rows(layout)));
  PrefillResult<Scalar> prefilled =
      prefill(request.method, context, weights, request.document, request.query, [&](Index done) {
        if (communicator.rank() == 0) on_layer(done);
      });
  const std::vector<double> prefill_s = gather_equal<double>({seconds_since(start)}, communicator);

  Evaluation<Scalar> result;
  result.prefill_s = *std::max_element(prefill_s.begin(), prefill_s.end());
  set_num_threads(environment.threads(communicator.num_ranks()));
  result.nll =
      document_nll(weights, context, prefilled.hidden, request.document, request.nll_positions);
  if (!request.expected_answer.empty()) {
    result.expected_log_probabilities = teacher_forced(request.method, context, weights, prefilled,
                                                       request.query, request.expected_answer);
  }
  result.answer = greedy_decode(request.method, context, weights, prefilled, request.query,
                                request.max_answer_tokens);

  result.counters = gather_counters(prefilled.counters, communicator);
  result.selections.resize(layout.ranks.size());
  for (const Selection<Scalar>& mine : prefilled.selections) {
    if (mine.kept_positions.empty()) break;
    auto all = gather_selections(mine, context);
    for (std::size_t rank = 0; rank < all.size(); ++rank) {
      result.selections[rank].push_back(std::move(all[rank]));
    }
  }
  result.total_s = seconds_since(start);
  return result;
}

double mean_nll(const Matrix<double>& log_probabilities, const std::vector<int>& expected) {
  double sum = 0;
  for (Index row = 0; row < log_probabilities.rows(); ++row) {
    sum -= log_probabilities(row, expected[static_cast<std::size_t>(row)]);
  }
  return sum / static_cast<double>(log_probabilities.rows());
}

double kl_divergence(const Eigen::Ref<const Matrix<double>>& truth,
                     const Eigen::Ref<const Matrix<double>>& other) {
  return (truth.row(0).array().exp() * (truth.row(0) - other.row(0)).array()).sum();
}

Counters total(const std::vector<Counters>& layers) {
  Counters sum;
  for (const Counters& layer : layers) {
    for (const auto& [name, count] : kCounterFields) sum.*count += layer.*count;
  }
  return sum;
}

template Evaluation<float> evaluate(const EvaluationRequest&, const ModelWeights<float>&,
                                    const RankEnvironment&, const std::function<void(Index)>&);
template Evaluation<double> evaluate(const EvaluationRequest&, const ModelWeights<double>&,
                                     const RankEnvironment&, const std::function<void(Index)>&);

}  // namespace apb
