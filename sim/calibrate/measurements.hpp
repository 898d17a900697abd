#pragma once
/// \file
/// What users have measured, from files as their tools write them.

#include <optional>
#include <string>

#include "sim/machine/machine_profile.hpp"

namespace apb::sim {

/// Measurements of one machine, from any number of files.
struct Measurements {
  std::vector<GemmPoint> gemm;
  std::vector<AttentionTable> attention;     ///< one a back end and head_dim
  std::vector<CollectiveTable> collectives;  ///< one a kind, number of ranks and of nodes

  /// The table of this kind, made if there is none. The caller adds points in any order.
  [[nodiscard]] AttentionTable& attention_of(const std::string& backend, Index head_dim);
  [[nodiscard]] CollectiveTable& collective_of(CollectiveKind kind, Index num_ranks,
                                               Index num_nodes);
  /// Points of all families.
  [[nodiscard]] std::size_t size() const;
  void add(const Measurements& more);
};

/// What an output of nccl-tests does not say, or says in lines that were cut off.
struct NcclTestsHints {
  std::optional<CollectiveKind> kind{};
  Index num_ranks = 0;  ///< 0: as the file lists them
  Index num_nodes = 0;  ///< 0: as the file lists them
};

/// Standard output of nccl-tests: sizes and out-of-place times; ranks and hosts from its list of
/// devices, the collective from its program's name (as in "all_gather_perf").
/// \throws BadInput naming the line: nothing measured, wrong results, a collective that is not used
///         here, or one process a GPU without MPI (every process then measures itself)
void read_nccl_tests(const std::string& path, const NcclTestsHints& hints, Measurements& into);

/// CSV with columns m, n, k, and us or TFLOP/s, in any order.
/// \throws BadInput naming line and column
void read_gemm_csv(const std::string& path, Measurements& into);

/// CSV with columns mask (causal, full), q_len, kv_len, q_heads, kv_heads, head_dim, us, and, if
/// there are several, backend.
/// \param backend name of the library where the file has no such column
/// \throws BadInput naming line and column
void read_attention_csv(const std::string& path, const std::string& backend, Measurements& into);

/// JSON of schema "apb-bench", as this project's GPU benchmarks write it (docs/machines.md).
/// \throws BadInput naming the key
void read_bench_json(const std::string& path, Measurements& into);

/// An attention kernel's point from its time.
/// \throws std::invalid_argument for a causal mask over fewer keys than rows
[[nodiscard]] AttentionPoint attention_point(MaskKind mask, Index q_len, Index kv_len,
                                             Index num_q_heads, Index head_dim, Seconds time);
[[nodiscard]] GemmPoint gemm_point(Index m, Index n, Index k, Seconds time);

}  // namespace apb::sim
