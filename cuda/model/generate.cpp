#include "cuda/model/generate.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "cuda/decode/attend_cache.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

/// Query rows that the decode kernel takes at once.
constexpr Index kQueryRows = 1024;
/// Rows of logits held at a time: [kLogitRows, vocab_size].
constexpr Index kLogitRows = 64;

std::size_t size(Index count) {
  return static_cast<std::size_t>(count);
}

/// Rows of heads that lie apart, packed into a cache from row `first` on.
template <class T>
void append(const DeviceHeads<const T>& rows, T* cache, Index first, cudaStream_t stream) {
  const std::size_t row_bytes = size(rows.heads * rows.head_dim) * sizeof(T);
  check(cudaMemcpy2DAsync(cache + first * rows.heads * rows.head_dim, row_bytes, rows.data,
                          size(rows.row_stride) * sizeof(T), row_bytes, size(rows.rows),
                          cudaMemcpyDeviceToDevice, stream));
}

/// Attention of the room's query rows to all ranks' caches and, causally, to themselves.
template <class T>
class QueryAttention {
 public:
  QueryAttention(GpuRank& rank, const LayerRoom<T>& room, const DeviceCache<T>& cache)
      : rank_(rank),
        room_(room),
        appends_(rank.communicator.rank() == rank.layout.appending_rank),
        first_row_(cache.rows),
        keys_(cache.rows + (appends_ ? room.rows : 0)),
        shape_{room.rows, room.num_q_heads, room.head_dim},
        partial_(size(shape_.size())),
        partials_(size(shape_.size() * rank.communicator.num_ranks())),
        workspace_(size(problem(cache.layers.front()).workspace_size())) {
    if (keys_ > cache.rows_taken) {
      throw BadInput("cuda query pass", "cached rows", keys_,
                     fmt::format("at most {}, for which there is room", cache.rows_taken));
    }
  }

  /// room.attention_out of one layer. Collective.
  void enqueue(const DeviceLayerCache<T>& cache) {
    const cudaStream_t stream = rank_.stream.get();
    if (appends_) {
      append<T>(room_.key(), cache.key.data(), first_row_, stream);
      append<T>(room_.value(), cache.value.data(), first_row_, stream);
    }
    attend_cache(problem(cache), workspace_.data(), partial_.data(), stream);
    rank_.communicator.all_gather(partial_.data(), partials_.data(),
                                  partial_.size() * sizeof(float), stream);
    merge_partials(partials_.data(), rank_.communicator.num_ranks(), shape_,
                   room_.attention_out.data(), room_.lse.data(), stream);
  }

  [[nodiscard]] Index keys() const { return keys_; }

 private:
  [[nodiscard]] CacheAttention<T> problem(const DeviceLayerCache<T>& cache) const {
    const auto rows = [&](const DeviceBuffer<T>& there) {
      return DeviceHeads<const T>::rows_first(there.data(), keys_, room_.num_kv_heads,
                                              room_.head_dim);
    };
    return {room_.query(),
            {rows(cache.key), rows(cache.value)},
            rank_.config.softmax_scale,
            appends_ ? room_.rows : 0};
  }

  GpuRank& rank_;
  const LayerRoom<T>& room_;
  bool appends_;
  Index first_row_, keys_;
  PartialShape shape_;
  DeviceBuffer<float> partial_, partials_, workspace_;
};

/// At most kQueryRows rows through all layers. \returns their room, with the hidden states
template <class T>
LayerRoom<T> run_rows(GpuRank& rank, const DeviceModel<T>& model, DeviceCache<T>& cache,
                      std::span<const int> tokens, Index first_position) {
  std::vector<Index> positions(tokens.size());
  std::iota(positions.begin(), positions.end(), first_position);
  const cudaStream_t stream = rank.stream.get();
  LayerRoom<T> room(model.shape, positions, stream);
  QueryAttention<T> attention(rank, room, cache);
  embed<T>(model, tokens, room, stream);
  for (Index layer = 0; layer < model.shape.num_layers; ++layer) {
    project_qkv(model, layer, room, rank.products, stream, {});
    rotate(room, stream);
    attention.enqueue(cache.layers[size(layer)]);
    finish_layer(model, layer, room, rank.products, stream, {});
  }
  rank.stream.synchronize();
  cache.rows = attention.keys();
  return room;
}

int most_probable(const std::vector<double>& row) {
  return static_cast<int>(std::max_element(row.begin(), row.end()) - row.begin());
}

}  // namespace

template <class T>
DeviceBuffer<T> query_pass(GpuRank& rank, const DeviceModel<T>& model, DeviceCache<T>& cache,
                           const std::vector<int>& tokens, Index first_position) {
  const Index columns = model.shape.hidden_size;
  DeviceBuffer<T> hidden(tokens.size() * size(columns));
  for (Index begin = 0; begin < std::ssize(tokens); begin += kQueryRows) {
    const Index rows = std::min(kQueryRows, std::ssize(tokens) - begin);
    const LayerRoom<T> room =
        run_rows<T>(rank, model, cache, std::span(tokens).subspan(size(begin), size(rows)),
                    first_position + begin);
    check(cudaMemcpyAsync(hidden.data() + begin * columns, room.hidden.data(),
                          size(rows * columns) * sizeof(T), cudaMemcpyDeviceToDevice,
                          rank.stream.get()));
    rank.stream.synchronize();
  }
  return hidden;
}

template <class T>
std::vector<double> log_probabilities(GpuRank& rank, const DeviceModel<T>& model,
                                      const DeviceRows<const T>& hidden,
                                      std::span<const Index> rows) {
  const std::vector<float> all = logits<T>(model, hidden, rows, rank.products, rank.stream.get());
  std::vector<double> result(all.begin(), all.end());
  for (auto row = result.begin(); row != result.end(); row += model.shape.vocab_size) {
    const auto end = row + model.shape.vocab_size;
    const double max = *std::max_element(row, end);
    const double sum = std::accumulate(
        row, end, 0.0, [&](double so_far, double value) { return so_far + std::exp(value - max); });
    std::for_each(row, end, [&](double& value) { value -= max + std::log(sum); });
  }
  return result;
}

template <class T>
std::vector<int> greedy_decode(GpuRank& rank, const DeviceModel<T>& model, DeviceCache<T>& cache,
                               const std::vector<int>& query, Index max_tokens) {
  std::vector<int> answer;
  if (max_tokens == 0) return answer;
  Index position = rank.layout.query_position;
  std::vector<int> tokens = query;
  while (true) {
    const DeviceBuffer<T> hidden = query_pass(rank, model, cache, tokens, position);
    position += std::ssize(tokens);
    int next = 0;
    if (rank.communicator.rank() == rank.layout.appending_rank) {
      const Index rows = std::ssize(tokens);
      next = most_probable(log_probabilities<T>(
          rank, model, DeviceRows<const T>::dense(hidden.data(), rows, model.shape.hidden_size),
          std::vector<Index>{rows - 1}));
    }
    next = rank.communicator.all_gather_values<int>(
        {next}, rank.stream.get())[size(rank.layout.appending_rank)];
    if (std::ranges::count(model.shape.eos_token_ids, next) > 0) break;
    answer.push_back(next);
    if (std::ssize(answer) == max_tokens) break;
    tokens = {next};
  }
  return answer;
}

template <class T>
std::vector<double> teacher_forced(GpuRank& rank, const DeviceModel<T>& model,
                                   DeviceCache<T>& cache, const std::vector<int>& query,
                                   const std::vector<int>& answer) {
  if (query.empty() || answer.empty()) {
    throw BadInput("cuda teacher_forced", "tokens of query and answer",
                   fmt::format("{}, {}", query.size(), answer.size()), "at least 1, 1");
  }
  std::vector<int> tokens = query;
  tokens.insert(tokens.end(), answer.begin(), answer.end() - 1);
  const Index cached_rows = cache.rows;
  const DeviceBuffer<T> hidden = query_pass(rank, model, cache, tokens, rank.layout.query_position);
  cache.rows = cached_rows;
  std::vector<Index> rows(answer.size());
  std::iota(rows.begin(), rows.end(), std::ssize(query) - 1);
  return log_probabilities<T>(
      rank, model,
      DeviceRows<const T>::dense(hidden.data(), std::ssize(tokens), model.shape.hidden_size), rows);
}

template <class T>
std::vector<double> document_nll(GpuRank& rank, const DeviceModel<T>& model,
                                 const DevicePrefill<T>& prefilled,
                                 const std::vector<int>& document,
                                 const std::vector<Index>& positions) {
  // The row that predicts a token is the one before it, which may belong to another rank. Every
  // rank fills in its own and leaves 0 in the others' places.
  std::vector<std::size_t> own;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    if (rank.layout.owner(positions[i] - 1) == rank.communicator.rank()) own.push_back(i);
  }
  const RankLayout& layout = rank.rank_layout();
  const auto hidden = DeviceRows<const T>::dense(prefilled.hidden.data(), layout.cached_rows(),
                                                 model.shape.hidden_size);
  std::vector<double> nll(positions.size());
  for (Index begin = 0; begin < std::ssize(own); begin += kLogitRows) {
    const auto count = size(std::min(kLogitRows, std::ssize(own) - begin));
    const auto chunk = std::span(own).subspan(size(begin), count);
    std::vector<Index> rows;
    for (const std::size_t i : chunk) rows.push_back(layout.cached_row(positions[i] - 1).value());
    const std::vector<double> log_p = log_probabilities<T>(rank, model, hidden, rows);
    for (std::size_t row = 0; row < count; ++row) {
      const int target = document[size(positions[chunk[row]])];
      nll[chunk[row]] = -log_p[row * size(model.shape.vocab_size) + size(target)];
    }
  }
  if (positions.empty()) return nll;
  const std::vector<double> all = rank.communicator.all_gather_values(nll, rank.stream.get());
  for (std::size_t i = 0; i < positions.size(); ++i) {
    const auto owner = size(rank.layout.owner(positions[i] - 1));
    nll[i] = all[owner * positions.size() + i];
  }
  return nll;
}

template DeviceBuffer<Bfloat16> query_pass(GpuRank&, const DeviceModel<Bfloat16>&,
                                           DeviceCache<Bfloat16>&, const std::vector<int>&, Index);
template std::vector<double> log_probabilities(GpuRank&, const DeviceModel<Bfloat16>&,
                                               const DeviceRows<const Bfloat16>&,
                                               std::span<const Index>);
template std::vector<int> greedy_decode(GpuRank&, const DeviceModel<Bfloat16>&,
                                        DeviceCache<Bfloat16>&, const std::vector<int>&, Index);
template std::vector<double> teacher_forced(GpuRank&, const DeviceModel<Bfloat16>&,
                                            DeviceCache<Bfloat16>&, const std::vector<int>&,
                                            const std::vector<int>&);
template std::vector<double> document_nll(GpuRank&, const DeviceModel<Bfloat16>&,
                                          const DevicePrefill<Bfloat16>&, const std::vector<int>&,
                                          const std::vector<Index>&);
template DeviceBuffer<Float16> query_pass(GpuRank&, const DeviceModel<Float16>&,
                                          DeviceCache<Float16>&, const std::vector<int>&, Index);
template std::vector<double> log_probabilities(GpuRank&, const DeviceModel<Float16>&,
                                               const DeviceRows<const Float16>&,
                                               std::span<const Index>);
template std::vector<int> greedy_decode(GpuRank&, const DeviceModel<Float16>&,
                                        DeviceCache<Float16>&, const std::vector<int>&, Index);
template std::vector<double> teacher_forced(GpuRank&, const DeviceModel<Float16>&,
                                            DeviceCache<Float16>&, const std::vector<int>&,
                                            const std::vector<int>&);
template std::vector<double> document_nll(GpuRank&, const DeviceModel<Float16>&,
                                          const DevicePrefill<Float16>&, const std::vector<int>&,
                                          const std::vector<Index>&);

}  // namespace apb::cuda
