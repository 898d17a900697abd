#pragma once
/// \file
/// What is known of a machine: datasheet values, measured tables, and how far to trust them. Files:
/// configs/machines/NAME.json (docs/machines.md).

#include <map>
#include <string>
#include <vector>

#include "sim/provenance.hpp"
#include "sim/units.hpp"

namespace apb::sim {

/// One measured matrix product [m, k] x [k, n], bf16.
struct GemmPoint {
  Index m = 0;
  Index n = 0;
  Index k = 0;
  FlopPerSecond rate{};  ///< 2 m n k over its time
};

struct GemmTable {
  Provenance provenance = Provenance::kMeasured;
  std::string source;
  std::vector<GemmPoint> points;
};

enum class MaskKind { kCausal, kFull };

/// One measured attention kernel. Rates count visible pairs only: a causal square of n rows has
/// n (n + 1) / 2.
struct AttentionPoint {
  MaskKind mask = MaskKind::kCausal;
  Index q_len = 0;
  Index kv_len = 0;
  Index num_q_heads = 0;
  FlopPerSecond rate{};  ///< 4 head_dim pairs num_q_heads over its time

  /// Keys that a row sees on average: what the rate mostly depends on.
  [[nodiscard]] double mean_keys() const {
    const auto keys = static_cast<double>(kv_len);
    return mask == MaskKind::kFull ? keys : keys - (static_cast<double>(q_len) - 1) / 2;
  }
};

/// One attention library on this machine.
struct AttentionTable {
  std::string backend;  ///< "flash-attention-2", "cudnn", ...
  Index head_dim = 128;
  /// Whether [anchor, passing, block] is one kernel (the authors' fork, ours) or one kernel a piece
  /// with a merge behind them (stock libraries).
  bool fused_segments = false;
  /// Whether fused segments must first be put together into one tensor (the authors' fork).
  bool copies_segments = false;
  /// Whether its full points were timed as steps of a ring, each with the merge of its result.
  bool ring_merges = false;
  Provenance provenance = Provenance::kMeasured;
  std::string source;
  std::vector<AttentionPoint> points;
};

enum class CollectiveKind { kAllGather, kAllToAll, kAllReduce, kSendReceive };
inline constexpr std::array<std::string_view, 4> kCollectiveNames{"all_gather", "all_to_all",
                                                                  "all_reduce", "send_receive"};
[[nodiscard]] constexpr std::string_view to_string(CollectiveKind kind) {
  return kCollectiveNames.at(static_cast<std::size_t>(kind));
}

/// One measured collective.
struct CollectivePoint {
  /// What a rank ends up with: all_gather: the whole gathered buffer; all_to_all: its whole receive
  /// buffer, own part included; all_reduce: the buffer; send_receive: the message. As nccl-tests
  /// prints it.
  Bytes size{};
  Seconds time{};
};

struct CollectiveTable {
  CollectiveKind kind = CollectiveKind::kAllGather;
  Index num_ranks = 0;
  Index num_nodes = 1;
  Provenance provenance = Provenance::kMeasured;
  std::string source;
  std::vector<CollectivePoint> points;  ///< ascending size
};

/// What a kernel launch costs, beside the kernel.
struct LaunchCost {
  SourcedValue dispatch_s;    ///< CPU time to launch one kernel: a floor where kernels are short
  SourcedValue gap_s;         ///< idle time of the GPU between two kernels
  SourcedValue collective_s;  ///< extra time around a collective, beside the collective's own
};

/// Relative spread (one standard deviation) of what each family of numbers predicts.
struct Spread {
  SourcedValue gemm;
  SourcedValue attention;
  SourcedValue streaming;
  SourcedValue collective;
  SourcedValue host;
  SourcedValue session;       ///< the same measurement on another day: common to all parts
  SourcedValue extrapolated;  ///< on top, for the share of time beyond the tables
};

struct MachineProfile {
  std::string name;   ///< "A800-80G"
  std::string title;  ///< for people: "NVIDIA A800 SXM 80 GB, 8 a node, NVLink"
  /// What the short names stand for that values and tables give as their source.
  std::map<std::string, std::string> sources;

  SourcedValue peak_flop_per_s;     ///< dense bf16
  SourcedValue memory_bytes_per_s;  ///< device memory bandwidth
  SourcedValue memory_bytes;        ///< device memory that a process can have
  SourcedValue reserved_bytes;      ///< CUDA context, NCCL buffers, allocator's loss
  SourcedValue gpus_per_node;
  SourcedValue link_bytes_per_s;  ///< to the other GPUs of the node, one direction, per GPU
  SourcedValue nics_per_node;     ///< 0: cannot leave the node
  SourcedValue nic_bytes_per_s;   ///< one direction, per NIC

  SourcedValue gemm_efficiency;       ///< of peak, where no table says more
  SourcedValue attention_efficiency;  ///< of peak, where no table says more
  SourcedValue sparse_efficiency;     ///< of peak, for MInference's sparse kernels and index search
  SourcedValue streaming_efficiency;  ///< of memory bandwidth, for norms, RoPE, activations, copies
  SourcedValue link_efficiency;       ///< of link_bytes_per_s, where no table says more
  SourcedValue nic_efficiency;        ///< of nic_bytes_per_s, likewise
  SourcedValue collective_latency_s;  ///< of the smallest collective inside a node
  SourcedValue node_latency_s;        ///< what leaving the node adds

  LaunchCost eager;     ///< kernels launched one by one by a framework
  LaunchCost captured;  ///< replayed from a graph
  Spread spread;

  std::vector<GemmTable> gemm;
  std::vector<AttentionTable> attention;  ///< the first one is the default
  std::vector<CollectiveTable> collectives;
};

}  // namespace apb::sim
