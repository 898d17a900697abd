#pragma once
/// \file
/// What `apb bench` finds, and what follows from it.

#include <optional>
#include <string>
#include <vector>

#include "cuda/benchmarks/layer_marks.hpp"
#include "cuda/benchmarks/machine_points.hpp"
#include "reference/core/plans/method_list.hpp"

namespace apb::cuda {

/// What exchanges are taken to cost, because the ranks of a benchmark run in turn on one GPU.
struct Link {
  double bytes_per_s = 0;  ///< that a GPU receives
  double latency_s = 0;    ///< of one exchange
  [[nodiscard]] double seconds(double bytes) const { return latency_s + bytes / bytes_per_s; }
};

/// Ranks that do the same work; the first of them was measured.
struct RankTime {
  int first_rank = 0, last_rank = 0;
  Index anchor_rows = 0, block_len = 0;
  LayerRun median;  ///< the run of median time
  double least_s = 0, most_s = 0;
  int runs = 0;
  double exchange_s = 0;  ///< added to the layer: what is not hidden behind other work

  [[nodiscard]] double total_s() const { return median.total_s + exchange_s; }
};

/// One layer by one method.
struct MethodTime {
  std::string name;    ///< "full", "star", "zigzag_ring", "apb", "apb_balanced"
  ApbConfig config{};  ///< as it runs
  std::vector<RankTime> ranks{};
  bool no_room = false;  ///< the GPU has too little memory: nothing was measured

  /// The slowest rank's; none without room.
  [[nodiscard]] std::optional<double> layer_s() const;
};

/// One model at one length.
struct LengthTimes {
  std::string model;
  Index doc_len = 0;
  std::vector<MethodTime> methods;
  AttentionShape full_attention;              ///< Full's, which a peer may have timed too
  std::optional<double> peer_s{};             ///< its attention by that peer
  Timing decode_attention{}, decode_merge{};  ///< one token: over a rank's cache, over all ranks

  [[nodiscard]] const MethodTime* method(std::string_view name) const;
  /// Full with the peer's attention in the place of ours; none if either was not measured.
  [[nodiscard]] std::optional<double> full_by_peer_s() const;
  /// APB's layer if its attention ran as much faster as the peer's does for Full.
  [[nodiscard]] std::optional<double> apb_at_peer_rate_s() const;
};

struct ProductTime {
  ProductShape shape;
  Timing time;
};
/// Our own attention, in profiles.
inline constexpr const char* kOwnBackend = "apb";
struct AttentionTime {
  std::string backend;
  AttentionShape shape;
  double seconds = 0;
};

/// The machine and everything measured on it.
struct BenchResults {
  std::string gpu, versions, date, command;
  int num_ranks = 1;
  Link link;
  std::string peer;     ///< name and version of the library measured beside ours; empty: none
  std::string no_peer;  ///< why there is none
  std::vector<LengthTimes> lengths;
  std::vector<ProductTime> products;
  std::vector<AttentionTime> attention;
};

}  // namespace apb::cuda
