#include "cuda/tools/model_run.hpp"

#include <algorithm>
#include <chrono>

#include "cuda/model/generate.hpp"

namespace apb::cuda {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t size(Index count) {
  return static_cast<std::size_t>(count);
}

/// Counters of all layers on every rank, [rank][layer].
std::vector<std::vector<Counters>> counters_of(const GpuRank& rank,
                                               const EvaluationRequest& request,
                                               const ModelShape& shape, Index retaining_hidden,
                                               const std::vector<std::int64_t>& bytes_received,
                                               const std::vector<std::int64_t>& bytes_sent,
                                               const std::vector<std::int64_t>& nan_scores) {
  const std::vector<Counters> work =
      method_work(request.method, request.config, 2,
                  {shape.hidden_size, shape.intermediate_size, retaining_hidden});
  const cudaStream_t stream = rank.stream.get();
  const auto received = rank.communicator.all_gather_values(bytes_received, stream);
  const auto sent = rank.communicator.all_gather_values(bytes_sent, stream);
  const auto nan = rank.communicator.all_gather_values(nan_scores, stream);
  std::vector<std::vector<Counters>> counters(work.size());
  for (std::size_t i = 0; i < received.size(); ++i) {
    const std::size_t its_rank = i / bytes_received.size();
    Counters layer = work[its_rank];
    layer.bytes_received = received[i];
    layer.bytes_sent = sent[i];
    layer.nan_scores = nan[i];
    counters[its_rank].push_back(layer);
  }
  return counters;
}

/// What all ranks kept in one layer, in rank order.
std::vector<Selection<float>> gather_kept(const GpuRank& rank, const KeptOfLayer& mine) {
  const Index heads = rank.config.num_kv_heads;
  Index most_rows = 0, most_kept = 0;
  for (const RankLayout& its : rank.layout.ranks) {
    most_rows = std::max(most_rows, its.block_len);
    most_kept = std::max(most_kept, its.num_kept);
  }
  const cudaStream_t stream = rank.stream.get();
  // Every rank sends the same number of elements.
  std::vector<float> importance = to_host(mine.importance, stream);
  std::vector<Index> positions = to_host(mine.positions, stream);
  importance.resize(size(most_rows * heads));
  positions.resize(size(most_kept * heads));
  const auto all_importance = rank.communicator.all_gather_values(importance, stream);
  const auto all_positions = rank.communicator.all_gather_values(positions, stream);
  std::vector<Selection<float>> selections;
  for (std::size_t its_rank = 0; its_rank < rank.layout.ranks.size(); ++its_rank) {
    const RankLayout& its = rank.layout.ranks[its_rank];
    Selection<float>& selection = selections.emplace_back();
    selection.importance = Eigen::Map<const Matrix<float>>(
        all_importance.data() + its_rank * importance.size(), its.block_len, heads);
    const Index* next = all_positions.data() + its_rank * positions.size();
    for (Index head = 0; head < heads; ++head, next += its.num_kept) {
      selection.kept_positions.emplace_back(next, next + its.num_kept);
    }
  }
  return selections;
}

std::vector<std::int64_t> nan_scores(const std::vector<KeptOfLayer>& layers, cudaStream_t stream) {
  std::vector<std::int64_t> counts;
  for (const KeptOfLayer& layer : layers) {
    std::int64_t& count = counts.emplace_back(0);
    for (const Index of_head : to_host(layer.nan_counts, stream)) count += of_head;
  }
  return counts;
}

}  // namespace

template <class T>
Evaluation<float> evaluate(const EvaluationRequest& request, const DeviceModel<T>& model,
                           DeviceCommunicator& communicator,
                           const std::function<void(Index)>& on_layer) {
  const BlockLayout layout = method_layout(request.method, request.config);
  GpuRank rank{request.config, layout, communicator};
  const cudaStream_t stream = rank.stream.get();
  const auto start = Clock::now();
  const Index rows_to_come =
      std::ssize(request.query) + request.max_answer_tokens + std::ssize(request.expected_answer);
  DevicePrefill<T> prefilled =
      prefill<T>(rank, model, {request.method, request.document, request.query, rows_to_come},
                 [&](Index done) {
                   if (communicator.rank() == 0) on_layer(done);
                 });
  const std::vector<double> prefill_s =
      communicator.all_gather_values<double>({seconds_since(start)}, stream);

  Evaluation<float> result;
  result.prefill_s = *std::max_element(prefill_s.begin(), prefill_s.end());
  result.nll = document_nll(rank, model, prefilled, request.document, request.nll_positions);
  if (!request.expected_answer.empty()) {
    const std::vector<double> log_p =
        teacher_forced(rank, model, prefilled.cache, request.query, request.expected_answer);
    result.expected_log_probabilities = Eigen::Map<const Matrix<double>>(
        log_p.data(), std::ssize(request.expected_answer), model.shape.vocab_size);
  }
  result.answer =
      greedy_decode(rank, model, prefilled.cache, request.query, request.max_answer_tokens);

  result.counters =
      counters_of(rank, request, model.shape, model.retaining_hidden, prefilled.bytes_received,
                  prefilled.bytes_sent, nan_scores(prefilled.kept, stream));
  result.selections.resize(layout.ranks.size());
  for (const KeptOfLayer& layer : prefilled.kept) {
    if (!rank.passes()) break;
    auto all = gather_kept(rank, layer);
    for (std::size_t i = 0; i < all.size(); ++i) result.selections[i].push_back(std::move(all[i]));
  }
  result.total_s = seconds_since(start);
  return result;
}

template Evaluation<float> evaluate(const EvaluationRequest&, const DeviceModel<Bfloat16>&,
                                    DeviceCommunicator&, const std::function<void(Index)>&);
template Evaluation<float> evaluate(const EvaluationRequest&, const DeviceModel<Float16>&,
                                    DeviceCommunicator&, const std::function<void(Index)>&);

}  // namespace apb::cuda
