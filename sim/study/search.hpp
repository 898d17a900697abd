#pragma once
/// \file
/// The best configuration under constraints, and what cutting the document unevenly wins.

#include <optional>
#include <vector>

#include "sim/predict/predict.hpp"
#include "sim/study/quality_table.hpp"

namespace apb::sim {

enum class Goal { kTime, kCost };

struct SearchRequest {
  Index max_gpus = 8;
  std::optional<double> max_memory_bytes;  ///< of a GPU; none: the machine's
  std::optional<double> max_seconds;
  std::optional<double> min_quality;  ///< then only what the table knows is allowed
  const QualityTable* quality = nullptr;
  double price_per_gpu_hour = 0;
  Goal goal = Goal::kTime;
  bool approximate = true;  ///< else exact methods only
};

struct SearchResult {
  Job job;
  Prediction prediction;  ///< without decode_step
  double cost = 0;        ///< per million tokens
  std::optional<double> quality;
};

/// A job for a method on a number of ranks, with anchor and kept entries (below 0: as usual).
using CandidateMaker = std::function<Job(SimMethod method, Index ranks, Index tensor_parallel,
                                         Index anchor_len, Index num_kept)>;

/// Best first. Ranks and tensor-parallel groups are powers of two up to max_gpus; anchors an eighth
/// to all of a block, kept entries a quarter to all of the anchor.
[[nodiscard]] std::vector<SearchResult> search(const MachineModel& machine,
                                               const SearchRequest& request,
                                               const CandidateMaker& job_of);

/// The job with its blocks shifted until no shift makes it faster; the job itself if none does, or
/// if its method cuts the document itself.
[[nodiscard]] Job balanced(const MachineModel& machine, const Job& job);

}  // namespace apb::sim
