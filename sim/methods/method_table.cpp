#include "sim/methods/method_table.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/core/error.hpp"

namespace apb::sim {

std::string sim_method_names() {
  std::string names;
  for (const SimMethodEntry& entry : kSimMethods) {
    names += names.empty() ? "" : ", ";
    names += entry.name;
  }
  return names;
}

bool is_sim_method(std::string_view name) {
  return std::ranges::find(kSimMethods, name, &SimMethodEntry::name) != kSimMethods.end();
}

SimMethod parse_sim_method(std::string_view name) {
  if (!is_sim_method(name)) throw BadInput("sim", "method", name, "one of " + sim_method_names());
  return std::ranges::find(kSimMethods, name, &SimMethodEntry::name)->method;
}

ApbConfig config_of(const Job& job) {
  const SimMethodEntry& entry = entry_of(job.method);
  ApbConfig config = job.lengths;
  if (entry.division != Division::kDocument) {
    config.num_ranks = 1;
    config.block_lens.clear();
  }
  return method_config(entry.reference.value_or(Method::kFull), config);
}

BlockLayout layout_of(const Job& job, const ApbConfig& config) {
  return method_layout(entry_of(job.method).reference.value_or(Method::kFull), config);
}

Index heads_shared_by(const Job& job) {
  const bool ranks_too = entry_of(job.method).division == Division::kHeads;
  return job.tensor_parallel * (ranks_too ? Index{job.lengths.num_ranks} : 1);
}

LayerPlan plan_layer(const Job& job, const ApbConfig& config, SegmentStyle style,
                     const Chunk& piece, bool each_ring_step) {
  const SimMethodEntry& entry = entry_of(job.method);
  const BlockLayout layout = layout_of(job, config);
  LayerPlan plan;
  PlanBuilder builder(job, config.num_ranks, heads_shared_by(job), plan);
  const bool overlapped = job.overlap.value_or(entry.overlap) > 0;
  entry.plan({job, config, layout, style, piece, each_ring_step, overlapped}, builder);
  return plan;
}

}  // namespace apb::sim
