// APB (arXiv 2502.12085), one layer of prefill on one rank. It reads as algorithm 2 of the paper,
// and as reference/methods/apb.cpp:
//
//   rows of rank r     [ anchor A | block B_r ]         rank 0 has no anchor
//   keys of rank r     [ anchor A | passing P_r | block B_r ]
//   anchor rows see    A causally, nothing else
//   block rows see     all of A, all of P_r, B_r causally
//
// P_r is read where the all-gather left it: the slices of ranks 0 … r-1.

#include "cuda/prefill.hpp"

#include <algorithm>

#include "cuda/attention/three_segments.hpp"
#include "cuda/selection/pool_importance.hpp"
#include "cuda/selection/select_and_pack.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

std::size_t size(Index count) {
  return static_cast<std::size_t>(count);
}

void done(const GpuRank& rank, LayerPart part) {
  if (rank.on_part) rank.on_part(part);
}

/// Rows of the embedded query that this rank scores with. Rank 0 holds none: it receives rank 1's.
template <class T>
DeviceHeads<const T> score_query(GpuRank& rank, const LayerRoom<T>& room,
                                 const PassingRoom<T>& passing) {
  const Index rows = rank.config.embedded_query_len;
  const int self = rank.communicator.rank();
  const auto received =
      DeviceHeads<T>::rows_first(passing.score_query.data(), rows, room.num_q_heads, room.head_dim);
  const auto own = [&] {
    return room.query().slice(rank.rank_layout().embedded_query().value().first, rows);
  };
  if (self <= 1) {  // the rows of a fused product lie apart: they are sent packed
    const Index columns = room.num_q_heads * room.head_dim;
    if (self == 1) {
      check(cudaMemcpy2DAsync(received.data, size(columns) * sizeof(T), own().data,
                              size(own().row_stride) * sizeof(T), size(columns) * sizeof(T),
                              size(rows), cudaMemcpyDeviceToDevice, rank.stream.get()));
    }
    rank.communicator.send(1, 0, received.data, size(rows * columns) * sizeof(T),
                           rank.stream.get());
  }
  return self == 0 ? received : own();
}

/// Scores that need queries, keys and values before RoPE.
template <class T>
void score_before_rope(GpuRank& rank, const DeviceModel<T>& model, Index layer,
                       const LayerRoom<T>& room, const PassingRoom<T>& passing) {
  if (rank.config.compressor != Compressor::kRetainingHead) return;
  const RankLayout& layout = rank.rank_layout();
  retaining_head_scores<T>(rank.products, model.retaining_head(layer),
                           room.qkv_rows().slice(layout.anchor_rows, layout.block_len),
                           passing.workspace.data(), passing.scores.data(), rank.stream.get());
}

/// All other scores.
template <class T>
void score_after_rope(GpuRank& rank, Index layer, const LayerRoom<T>& room,
                      const PassingRoom<T>& passing) {
  const RankLayout& layout = rank.rank_layout();
  switch (rank.config.compressor) {
    case Compressor::kQueryAware:
      query_aware_scores<T>(score_query(rank, room, passing),
                            room.key().slice(layout.anchor_rows, layout.block_len),
                            passing.workspace.data(), passing.scores.data(), rank.stream.get());
      return;
    case Compressor::kRandom:
    case Compressor::kRecent:
      query_free_scores({rank.config.compressor, rank.config.seed, layer, layout.block_begin,
                         layout.block_len, room.num_kv_heads},
                        passing.scores.data(), rank.stream.get());
      return;
    case Compressor::kRetainingHead:
    case Compressor::kNone:
      return;
  }
}

/// Which block tokens this rank keeps: max-pool, top-k per KV head; packed to be sent.
template <class T>
void compress_block(GpuRank& rank, const LayerRoom<T>& room, const PassingRoom<T>& passing,
                    const KeptOfLayer& kept) {
  const RankLayout& layout = rank.rank_layout();
  const Index excluded = layout.candidate_begin - layout.block_begin;
  const Index first = layout.anchor_rows + excluded;
  pool_importance<float>({passing.scores.data(), kept.importance.data(), layout.block_len,
                          room.num_kv_heads, rank.config.pool_kernel, excluded},
                         rank.stream.get());
  select_and_pack<float, T>({kept.importance.data() + excluded * room.num_kv_heads,
                             room.num_kv_heads,
                             {room.key().slice(first, layout.num_candidates()),
                              room.value().slice(first, layout.num_candidates())},
                             layout.candidate_begin},
                            {layout.num_kept, passing.capacity, passing.kept.data(),
                             kept.positions.data(), kept.nan_counts.data()},
                            rank.stream.get());
}

/// Enqueues the all-gather of what was kept, on a stream of its own. \returns when it has arrived
template <class T>
Event exchange_passing_block(GpuRank& rank, const PassingRoom<T>& passing) {
  Event packed, arrived;
  packed.record(rank.stream.get());
  packed.hold_back(rank.exchange.get());
  rank.communicator.all_gather(passing.kept.data(), passing.gathered.data(),
                               passing.kept.size() * sizeof(T), rank.exchange.get());
  arrived.record(rank.exchange.get());
  return arrived;
}

/// The lower ranks' slices of what was gathered.
template <class T>
std::vector<KeysAndValues<T>> passing_slices(const GpuRank& rank, const LayerRoom<T>& room,
                                             const PassingRoom<T>& passing) {
  std::vector<KeysAndValues<T>> slices;
  for (Index lower = 0; lower < rank.communicator.rank(); ++lower) {
    slices.push_back(
        KeptEntries<T>::slice(passing.gathered.data() + size(lower) * passing.kept.size(),
                              rank.layout.ranks[size(lower)].num_kept, room.num_kv_heads,
                              room.head_dim, passing.capacity));
  }
  return slices;
}

/// Rows of one part with their results' places.
template <class T>
QueryRows<T> rows_of(const LayerRoom<T>& room, Index begin, Index count) {
  return {room.query().slice(begin, count), room.out().slice(begin, count),
          room.lse.data() + begin * room.num_q_heads};
}

/// Copies the rows that the layout caches. \param target [cached rows, columns], dense
template <class T>
void copy_cached_rows(const RankLayout& layout, const DeviceRows<const T>& rows, T* target,
                      cudaStream_t stream) {
  for (const RowRange& range : layout.cached) {
    check(cudaMemcpy2DAsync(target, size(rows.columns) * sizeof(T),
                            rows.data + range.first * rows.row_stride,
                            size(rows.row_stride) * sizeof(T), size(rows.columns) * sizeof(T),
                            size(range.count), cudaMemcpyDeviceToDevice, stream));
    target += range.count * rows.columns;
  }
}

template <class T>
DeviceCache<T> make_cache(const GpuRank& rank, const ModelShape& shape, Index rows_to_come) {
  DeviceCache<T> cache;
  cache.rows = rank.rank_layout().cached_rows();
  const bool appends = rank.communicator.rank() == rank.layout.appending_rank;
  cache.rows_taken = cache.rows + (appends ? rows_to_come : 0);
  const std::size_t elements = size(cache.rows_taken * shape.num_kv_heads * shape.head_dim);
  for (Index layer = 0; layer < shape.num_layers; ++layer) {
    cache.layers.push_back({DeviceBuffer<T>(elements), DeviceBuffer<T>(elements)});
  }
  return cache;
}

}  // namespace

template <class T>
PassingRoom<T>::PassingRoom(const GpuRank& rank, Index retaining_hidden) : capacity(0) {
  if (!rank.passes()) return;
  const ApbConfig& config = rank.config;
  const RankLayout& layout = rank.rank_layout();
  for (const RankLayout& its : rank.layout.ranks) capacity = std::max(capacity, its.num_kept);
  const std::size_t pairs = size(layout.block_len * config.num_kv_heads);
  const std::size_t slice = size(2 * config.num_kv_heads * capacity * config.head_dim);
  scores = DeviceBuffer<float>(pairs);
  if (config.compressor == Compressor::kRetainingHead) {
    workspace =
        DeviceBuffer<float>(size(std::min(kRetainingRows, layout.block_len) * retaining_hidden));
  } else if (config.compressor == Compressor::kQueryAware) {
    workspace = DeviceBuffer<float>(size(config.num_kv_heads * config.head_dim));
    score_query =
        DeviceBuffer<T>(size(config.embedded_query_len * config.num_q_heads * config.head_dim));
  }
  kept = DeviceBuffer<T>(slice);
  gathered = DeviceBuffer<T>(slice * rank.layout.ranks.size());
}

KeptOfLayer kept_of_layer(const GpuRank& rank) {
  if (!rank.passes()) return {};
  const Index heads = rank.config.num_kv_heads;
  const RankLayout& layout = rank.rank_layout();
  return {DeviceBuffer<Index>(size(heads * layout.num_kept)),
          DeviceBuffer<float>(size(layout.block_len * heads)), DeviceBuffer<Index>(size(heads))};
}

template <class T>
void prefill_layer(GpuRank& rank, const DeviceModel<T>& model, Index layer,
                   const LayerRoom<T>& room, const PassingRoom<T>& passing,
                   const KeptOfLayer& kept) {
  const Index anchor_rows = rank.rank_layout().anchor_rows;
  const Index block_len = rank.rank_layout().block_len;
  const double scale = rank.config.softmax_scale;
  const cudaStream_t stream = rank.stream.get();

  project_qkv(model, layer, room, rank.products, stream, rank.on_part);
  if (rank.passes()) {
    score_before_rope(rank, model, layer, room, passing);
    done(rank, LayerPart::kScores);
  }
  rotate(room, stream);
  done(rank, LayerPart::kRope);

  // 1. Compress the own block and exchange what is kept: one all-gather.
  Event arrived;
  if (rank.passes()) {
    score_after_rope(rank, layer, room, passing);
    done(rank, LayerPart::kScores);
    compress_block(rank, room, passing, kept);
    arrived = exchange_passing_block(rank, passing);
    done(rank, LayerPart::kSelection);
  }

  // 2. Anchor rows see the anchor only: meanwhile.
  const KeysAndValues<T> anchor{room.key().slice(0, anchor_rows),
                                room.value().slice(0, anchor_rows)};
  const KeysAndValues<T> block{room.key().slice(anchor_rows, block_len),
                               room.value().slice(anchor_rows, block_len)};
  attend<T>({.anchor_rows = rows_of(room, 0, anchor_rows),
             .block_rows = rows_of(room, anchor_rows, 0),
             .anchor = anchor,
             .block = {block.key.slice(0, 0), block.value.slice(0, 0)},
             .passing = {},
             .softmax_scale = scale},
            stream);
  done(rank, LayerPart::kAttention);

  // 3. Block rows see anchor and passing block whole, their own block causally.
  std::vector<KeysAndValues<T>> slices;
  if (rank.passes()) {
    arrived.hold_back(stream);
    done(rank, LayerPart::kCommunication);
    slices = passing_slices(rank, room, passing);
  }
  attend<T>({.anchor_rows = rows_of(room, 0, 0),
             .block_rows = rows_of(room, anchor_rows, block_len),
             .anchor = anchor,
             .block = block,
             .passing = slices,
             .softmax_scale = scale},
            stream);
  done(rank, LayerPart::kAttention);

  finish_layer(model, layer, room, rank.products, stream, rank.on_part);
}

template <class T>
DevicePrefill<T> prefill(GpuRank& rank, const DeviceModel<T>& model, const PrefillRequest& request,
                         const std::function<void(Index)>& on_layer) {
  if (!entry_of(request.method).block_form) {
    throw BadInput("cuda prefill", "method", to_string(request.method), block_method_names());
  }
  if (rank.passes() && rank.config.compressor == Compressor::kRetainingHead &&
      !model.has_retaining_heads()) {
    throw BadInput("cuda prefill", "compressor", "retaining_head", "used with retaining heads");
  }
  const RankLayout& layout = rank.rank_layout();
  std::vector<int> tokens;
  std::vector<Index> positions;
  for (Index row = 0; row < layout.rows(); ++row) {
    tokens.push_back(layout.token(row, request.document, request.query));
    positions.push_back(layout.position(row));
  }
  const cudaStream_t stream = rank.stream.get();
  const LayerRoom<T> room(model.shape, positions, stream);
  const PassingRoom<T> passing(rank, model.retaining_hidden);
  DevicePrefill<T> result;
  result.cache = make_cache<T>(rank, model.shape, request.rows_to_come);
  for (Index layer = 0; layer < model.shape.num_layers; ++layer) {
    result.kept.push_back(kept_of_layer(rank));
  }
  const Index cached_columns = room.num_kv_heads * room.head_dim;
  const auto as_rows = [&](const DeviceHeads<T>& heads) {
    return DeviceRows<const T>{heads.data, heads.rows, cached_columns, heads.row_stride};
  };

  embed<T>(model, tokens, room, stream);
  for (Index layer = 0; layer < model.shape.num_layers; ++layer) {
    const std::int64_t received_before = rank.communicator.bytes_received();
    const std::int64_t sent_before = rank.communicator.bytes_sent();
    prefill_layer(rank, model, layer, room, passing, result.kept[size(layer)]);
    const DeviceLayerCache<T>& cache = result.cache.layers[size(layer)];
    copy_cached_rows<T>(layout, as_rows(room.key()), cache.key.data(), stream);
    copy_cached_rows<T>(layout, as_rows(room.value()), cache.value.data(), stream);
    result.bytes_received.push_back(rank.communicator.bytes_received() - received_before);
    result.bytes_sent.push_back(rank.communicator.bytes_sent() - sent_before);
    on_layer(layer + 1);
  }
  result.hidden = DeviceBuffer<T>(size(layout.cached_rows() * room.hidden_size));
  copy_cached_rows<T>(layout, room.hidden_rows(), result.hidden.data(), stream);
  rank.stream.synchronize();
  return result;
}

template struct PassingRoom<Bfloat16>;
template struct PassingRoom<Float16>;
template void prefill_layer(GpuRank&, const DeviceModel<Bfloat16>&, Index,
                            const LayerRoom<Bfloat16>&, const PassingRoom<Bfloat16>&,
                            const KeptOfLayer&);
template void prefill_layer(GpuRank&, const DeviceModel<Float16>&, Index, const LayerRoom<Float16>&,
                            const PassingRoom<Float16>&, const KeptOfLayer&);
template DevicePrefill<Bfloat16> prefill(GpuRank&, const DeviceModel<Bfloat16>&,
                                         const PrefillRequest&, const std::function<void(Index)>&);
template DevicePrefill<Float16> prefill(GpuRank&, const DeviceModel<Float16>&,
                                        const PrefillRequest&, const std::function<void(Index)>&);

}  // namespace apb::cuda
