#pragma once
/// \file
/// One job on one machine: how long until the first token, where the time goes, whether it fits,
/// and how sure all that is.

#include "sim/predict/band.hpp"
#include "sim/timeline/timeline.hpp"
#include "sim/work/memory.hpp"
#include "sim/work/work_counts.hpp"

namespace apb::sim {

struct Prediction {
  Seconds prefill{};      ///< the document, all layers
  Seconds query_pass{};   ///< the query's rows against all caches
  Seconds lm_head{};      ///< the last row to logits
  Seconds decode_step{};  ///< one token more

  std::vector<RankTime> ranks;    ///< of the prefill
  std::vector<Seconds> finished;  ///< when each rank has done its prefill
  PartProvenance provenance;      ///< of one layer's prefill, all ranks together
  Memory memory;
  Fit fit = Fit::kFits;
  Index kept_cache_bytes = 0;  ///< keys and values on the fullest GPU after the prefill
  Index num_gpus = 1;
  double spread = 0;  ///< relative standard deviation of the time to the first token

  [[nodiscard]] Seconds time_to_first_token() const { return prefill + query_pass + lm_head; }
  [[nodiscard]] Band band() const { return band_around(time_to_first_token(), spread); }
  /// Busiest rank's compute over the mean: 1 if all have the same.
  [[nodiscard]] double imbalance() const;
};

/// \throws BadInput as validate, config_of and MachineModel::backend
[[nodiscard]] Prediction predict(const MachineModel& machine, const Job& job);

/// As predict, without decode_step: what a sweep needs.
[[nodiscard]] Prediction predict_first_token(const MachineModel& machine, const Job& job);

/// Work of every rank, by part.
struct JobWork {
  std::vector<LayerWork> prefill;      ///< one layer, the whole document
  std::vector<LayerWork> query_pass;   ///< one layer, the question's rows
  std::vector<LayerWork> decode_step;  ///< one layer, one token
  PartWork lm_head;                    ///< one row's logits, once
};
[[nodiscard]] JobWork work_of_job(const MachineModel& machine, const Job& job);

/// As predict, with every interval of the prefill's first `num_layers` layers.
/// \param each_ring_step as PlanInput has it
void trace_prefill(const MachineModel& machine, const Job& job, Index num_layers,
                   const std::function<void(const Interval&)>& record, bool each_ring_step = true);

}  // namespace apb::sim
