#pragma once
/// \file
/// Prefill of a document on the GPU by the methods whose ranks hold [anchor, passing, block]: APB
/// (arXiv 2502.12085, algorithm 2), and as its special cases Star (nothing is passed) and Full (one
/// rank holds all).

#include <span>
#include <vector>

#include "cuda/comm/device_communicator.hpp"
#include "cuda/model/transformer.hpp"
#include "reference/core/plans/method_list.hpp"

namespace apb::cuda {

/// Where a rank stands and what it works with.
struct GpuRank {
  const ApbConfig& config;    ///< made by method_config, for a method of block_form
  const BlockLayout& layout;  ///< made by method_layout
  DeviceCommunicator& communicator;
  OnPart on_part{};
  Stream stream{};  ///< all of the rank's work but what is exchanged
  /// Exchanges, so that they pass while other work goes on. An attention kernel fills the GPU: what
  /// is not taken first would wait for its end.
  Stream exchange{Urgency::kFirst};
  MatrixProducts products{};

  [[nodiscard]] const RankLayout& rank_layout() const {
    return layout.ranks[static_cast<std::size_t>(communicator.rank())];
  }
  /// Whether blocks are compressed and passed on at all.
  [[nodiscard]] bool passes() const {
    return config.compressor != Compressor::kNone && config.num_ranks > 1;
  }
};

/// Keys (after RoPE) and values that one rank holds in one layer, with room for more.
template <class T>
struct DeviceLayerCache {
  DeviceBuffer<T> key;    ///< [room for rows, num_kv_heads, head_dim]
  DeviceBuffer<T> value;  ///< the same shape
};

/// One rank's cache: the rows that its layout caches, anchor copies dropped, so that over all ranks
/// every document token counts exactly once.
template <class T>
struct DeviceCache {
  std::vector<DeviceLayerCache<T>> layers;
  Index rows = 0;        ///< held, the same in all layers
  Index rows_taken = 0;  ///< that there is room for
};

/// What compression and exchange leave of a layer.
template <class T>
struct PassingRoom {
  /// \throws CudaError if there is not enough memory
  explicit PassingRoom(const GpuRank& rank, Index retaining_hidden);

  Index capacity;                 ///< rows of a slice: the most that any rank keeps
  DeviceBuffer<float> scores;     ///< [block_rows, num_kv_heads]
  DeviceBuffer<float> workspace;  ///< of the compressor
  DeviceBuffer<T>
      score_query;  ///< [embedded_query_len, num_q_heads, head_dim]: what rank 1 sends to rank 0
  DeviceBuffer<T> kept;      ///< [2][num_kv_heads][capacity][head_dim]: what is sent
  DeviceBuffer<T> gathered;  ///< [num_ranks] of these
};

/// Which entries of one layer a rank kept.
struct KeptOfLayer {
  DeviceBuffer<Index> positions;   ///< [num_kv_heads, num_kept], doc_pos ascending
  DeviceBuffer<float> importance;  ///< [block_rows, num_kv_heads]
  DeviceBuffer<Index> nan_counts;  ///< [num_kv_heads]: NaN among the importances
};

/// Room for what this rank keeps in a layer; none if nothing is passed.
[[nodiscard]] KeptOfLayer kept_of_layer(const GpuRank& rank);

/// What prefill leaves on one rank.
template <class T>
struct DevicePrefill {
  DeviceCache<T> cache;
  DeviceBuffer<T> hidden;                    ///< [cached rows, hidden_size] after the last layer
  std::vector<KeptOfLayer> kept;             ///< per layer; empty if nothing is passed
  std::vector<std::int64_t> bytes_received;  ///< per layer
  std::vector<std::int64_t> bytes_sent;      ///< per layer
};

/// Enqueues one layer of prefill on one rank: room.hidden before -> after. Collective.
/// \param kept where what the rank keeps is written, of the sizes of kept_of_layer
template <class T>
void prefill_layer(GpuRank& rank, const DeviceModel<T>& model, Index layer,
                   const LayerRoom<T>& room, const PassingRoom<T>& passing,
                   const KeptOfLayer& kept);

/// What prefill() runs.
struct PrefillRequest {
  Method method = Method::kApb;
  const std::vector<int>& document;  ///< all doc_len token ids (a rank reads its own rows)
  const std::vector<int>& query;     ///< token ids that hold the embedded query
  Index rows_to_come = 0;            ///< room in the appending rank's cache for query and answer
};

/// Runs all layers and waits for them. Collective.
/// \param on_layer called after each layer was enqueued with the number of layers done
/// \throws BadInput for a method without block form, or what the kernels do not support
template <class T>
[[nodiscard]] DevicePrefill<T> prefill(GpuRank& rank, const DeviceModel<T>& model,
                                       const PrefillRequest& request,
                                       const std::function<void(Index)>& on_layer);

}  // namespace apb::cuda
