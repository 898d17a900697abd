#include "sim/work/job.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

constexpr double kMostFlop = 0x1p62;

void require(bool holds, std::string_view key, Index value, std::string_view allowed) {
  if (!holds) throw BadInput("sim", key, value, allowed);
}

/// Counts of work have 64 bits. Twice what a layer needs stays below them.
void require_countable(const Job& job, Index longest_block) {
  const ModelSizes& model = job.model;
  const auto rows = static_cast<double>(std::max(longest_block, job.lengths.query_len));
  const auto keys = static_cast<double>(job.lengths.doc_len + job.lengths.query_len);
  const auto heads = static_cast<double>(largest_share(model.num_q_heads, heads_shared_by(job)));
  const double pair_flop = 4 * heads * static_cast<double>(model.head_dim);
  const double row_flop = 6 * static_cast<double>(model.hidden_size) *
                          static_cast<double>(model.intermediate_size + model.hidden_size);
  if (static_cast<double>(job.batch) * rows * (keys * pair_flop + row_flop) > kMostFlop) {
    throw BadInput("sim", "batch x tokens", fmt::format("{} x {}", job.batch, job.lengths.doc_len),
                   "fewer, or more ranks: the FLOPs of a layer no longer fit 64 bits");
  }
}

Index longest_block_of(const ApbConfig& lengths) {
  if (!lengths.block_lens.empty()) return std::ranges::max(lengths.block_lens);
  return largest_share(lengths.doc_len, std::max(1, lengths.num_ranks));
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
  const bool shares_document = entry.division == Division::kDocument;
  const Index longest_block = shares_document ? longest_block_of(job.lengths) : job.lengths.doc_len;
  require(job.method != SimMethod::kApb || job.lengths.num_kept <= longest_block, "num_kept",
          job.lengths.num_kept,
          fmt::format("at most the longest block ({} tokens)", longest_block));
  require_countable(job, longest_block);
  if (job.overlap && !(*job.overlap >= 0 && *job.overlap <= 1)) {
    throw BadInput("sim", "overlap", *job.overlap, "0 to 1");
  }
}

Index num_gpus(const Job& job) {
  const bool one_rank = entry_of(job.method).division == Division::kOneRank;
  return (one_rank ? 1 : Index{job.lengths.num_ranks}) * job.tensor_parallel * job.pipeline_stages;
}

}  // namespace apb::sim
