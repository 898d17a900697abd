#include "sim/work/memory.hpp"

#include <algorithm>

#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

/// Bytes of keys and values of a row in one layer, on one GPU.
Index row_cache_bytes(const Job& job) {
  const Index heads = largest_share(job.model.num_kv_heads, heads_shared_by(job));
  return 2 * heads * job.model.head_dim * job.element_bytes * job.batch;
}

Index layers_of_stage(const Job& job) {
  return largest_share(job.model.num_layers, job.pipeline_stages);
}

/// The most rows that one rank pushes through a layer at once.
Index most_rows(const Job& job, const BlockLayout& layout) {
  Index rows = 0;
  for (const RankLayout& rank : layout.ranks) rows = std::max(rows, rank.rows());
  return largest_share(rows, job.pipeline_chunks);
}

/// Keys and values of one layer that a rank holds beside its own, in rows.
Index foreign_rows(const Job& job, const ApbConfig& config, const BlockLayout& layout) {
  if (config.num_ranks == 1) return 0;
  Index kept = 0;
  Index longest = 0;
  for (const RankLayout& rank : layout.ranks) {
    kept += rank.num_kept;
    longest = std::max(longest, rank.block_len);
  }
  switch (job.method) {
    case SimMethod::kRing:
    case SimMethod::kZigzagRing:
      return 2 * longest;  // one that is read, one that comes
    case SimMethod::kAllGather:
      return config.doc_len;
    case SimMethod::kApb:
    case SimMethod::kSpava:
      return kept;
    case SimMethod::kUlysses:  // query, key, value and out of its heads, all rows
      return largest_share(config.doc_len * (job.model.num_q_heads + job.model.num_kv_heads),
                           job.model.num_kv_heads * Index{config.num_ranks});
    default:
      return 0;
  }
}

}  // namespace

Memory memory_of(const Job& job, const ApbConfig& config, const MachineProfile& machine) {
  const BlockLayout layout = layout_of(job, config);
  const ModelSizes& model = job.model;
  const Index tp = heads_shared_by(job);
  const Index rows = most_rows(job, layout);
  Memory memory;
  memory.weights =
      largest_share(model.num_parameters * job.element_bytes, tp * job.pipeline_stages);
  Index cached = 0;
  for (const RankLayout& rank : layout.ranks) cached = std::max(cached, rank.rows());
  if (job.cache_replicated) cached = config.doc_len;
  memory.cache = cached * row_cache_bytes(job) * layers_of_stage(job);
  // The residual stream and its norm stay; on top the widest moment of the layer: gate, up and
  // their product, or query, key, value and out.
  const Index attention_width =
      largest_share(2 * (model.num_q_heads + model.num_kv_heads), tp) * model.head_dim;
  const Index widest = std::max(3 * largest_share(model.intermediate_size, tp), attention_width);
  memory.activations = rows * (2 * model.hidden_size + widest) * job.element_bytes * job.batch;
  memory.exchange = foreign_rows(job, config, layout) * row_cache_bytes(job);
  memory.logits = model.vocab_size * (job.element_bytes + 4) * job.batch;  // and as float
  if (job.all_logits) memory.logits += rows * model.vocab_size * job.element_bytes * job.batch;
  memory.reserved = static_cast<Index>(machine.reserved_bytes.number);
  return memory;
}

Index kept_cache_bytes(const Job& job, const ApbConfig& config) {
  Index cached = 0;
  for (const RankLayout& rank : layout_of(job, config).ranks) {
    cached = std::max(cached, rank.cached_rows());
  }
  if (job.cache_replicated) cached = config.doc_len;
  return cached * row_cache_bytes(job) * layers_of_stage(job);
}

Fit fit_of(Index needed, const MachineProfile& machine) {
  const double part = static_cast<double>(needed) / machine.memory_bytes.number;
  if (part > 1 + kBorderline) return Fit::kOutOfMemory;
  return part < 1 - kBorderline ? Fit::kFits : Fit::kBorderline;
}

}  // namespace apb::sim
