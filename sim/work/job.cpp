#include "sim/work/job.hpp"

#include <fmt/format.h>

#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

void require(bool holds, std::string_view key, Index value, std::string_view allowed) {
  if (!holds) throw BadInput("sim", key, value, allowed);
}

}  // namespace

void set_model(Job& job, const ModelSizes& model) {
  job.model = model;
  job.lengths.num_q_heads = model.num_q_heads;
  job.lengths.num_kv_heads = model.num_kv_heads;
  job.lengths.head_dim = model.head_dim;
}

void validate(const Job& job) {
  const SimMethodEntry& entry = entry_of(job.method);
  require(job.batch >= 1, "batch", job.batch, "at least 1");
  require(job.element_bytes >= 1, "element_bytes", job.element_bytes, "at least 1");
  require(job.tensor_parallel >= 1, "tp", job.tensor_parallel, "at least 1");
  require(job.pipeline_stages >= 1 && job.pipeline_stages <= job.model.num_layers, "pp",
          job.pipeline_stages, fmt::format("1 to the model's {} layers", job.model.num_layers));
  require(job.pipeline_chunks >= 1, "chunks", job.pipeline_chunks, "at least 1");
  require(
      entry.division != Division::kDocument || job.batch % job.pipeline_chunks == 0, "chunks",
      job.pipeline_chunks,
      fmt::format("a divisor of the batch ({}): {} cannot cut a prompt", job.batch, entry.name));
  const Index shared = heads_shared_by(job);
  require(job.model.num_q_heads % shared == 0,
          entry.division == Division::kHeads ? "ranks x tp" : "tp", shared,
          fmt::format("a divisor of the model's {} query heads", job.model.num_q_heads));
  if (job.method == SimMethod::kUlysses) {
    const Index kv_heads = std::max<Index>(1, job.model.num_kv_heads / job.tensor_parallel);
    require(kv_heads % job.lengths.num_ranks == 0, "ranks", job.lengths.num_ranks,
            fmt::format("a divisor of {} KV heads: Ulysses shares them out", kv_heads));
  }
  if (job.overlap && !(*job.overlap >= 0 && *job.overlap <= 1)) {
    throw BadInput("sim", "overlap", *job.overlap, "0 to 1");
  }
}

Index num_gpus(const Job& job) {
  const bool one_rank = entry_of(job.method).division == Division::kOneRank;
  return (one_rank ? 1 : Index{job.lengths.num_ranks}) * job.tensor_parallel * job.pipeline_stages;
}

}  // namespace apb::sim
