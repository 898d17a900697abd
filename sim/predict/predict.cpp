#include "sim/predict/predict.hpp"

#include <algorithm>

#include "sim/methods/method_table.hpp"
#include "sim/work/query_plan.hpp"

namespace apb::sim {
namespace {

SegmentStyle style_of(const MachineModel& machine, const Job& job) {
  const AttentionTable* table = machine.backend_table(machine.backend(job.attention_backend));
  if (table == nullptr) return {};
  return {table->fused_segments, table->copies_segments, table->ring_merges};
}

/// Sending the hidden rows from one pipeline stage to the next.
Seconds stage_hop(const MachineModel& machine, const Job& job, Index rows) {
  const auto per_node = static_cast<Index>(machine.profile().gpus_per_node.number);
  const Index stage_gpus = num_gpus(job) / job.pipeline_stages;
  const bool leaves_node = num_gpus(job) > per_node;
  const Placement pair{2, leaves_node ? 1 : 2, std::min(stage_gpus, per_node)};
  const Index bytes = rows * job.model.hidden_size * job.element_bytes * job.batch;
  return machine.collective_time(CollectiveKind::kSendReceive, pair, Bytes(bytes)).time;
}

/// The last row's logits.
LayerPlan plan_lm_head(const Job& job) {
  LayerPlan plan;
  PlanBuilder builder(job, 1, heads_shared_by(job), plan);
  const Index columns = job.model.vocab_size / heads_shared_by(job);
  builder.gemm(0, Part::kOutput, 1, columns, job.model.hidden_size);
  return plan;
}

Seconds pass_time(const MachineModel& machine, const Job& job, const ApbConfig& config, Index rows,
                  Index before) {
  if (rows == 0) return Seconds(0);
  const LayerPlan plan = plan_query_pass(job, config, rows, before);
  const Seconds layers = TimedLayer(machine, job, plan).run(job.model.num_layers);
  const auto hops = static_cast<double>(job.pipeline_stages - 1);
  return hops > 0 ? layers + hops * stage_hop(machine, job, rows) : layers;
}

/// A pipeline: pieces follow each other through the stages; the slowest piece sets the bubble.
/// \param times that each of the pieces comes
/// \param job one piece of the batch, if the batch is cut
Seconds pipelined(const MachineModel& machine, const Job& job, Prediction& prediction,
                  const std::vector<LayerPlan>& pieces, Index times, Index rows) {
  const auto repeats = static_cast<double>(times);
  const Index stages = job.pipeline_stages;
  const auto hops = static_cast<double>(stages - 1);
  Seconds all{};
  Seconds slowest{};
  for (const LayerPlan& piece : pieces) {
    TimedLayer layer(machine, job, piece);
    const Seconds total = layer.run(job.model.num_layers);
    all += repeats * total;
    slowest = std::max(slowest, total);
    for (std::size_t r = 0; r < layer.ranks().size(); ++r) {
      if (prediction.ranks.size() <= r) {
        prediction.ranks.emplace_back();
        prediction.finished.emplace_back();
      }
      add_rank_time(prediction.ranks[r], layer.ranks()[r], repeats);
      prediction.finished[r] += repeats * layer.finished()[r];
    }
    for (std::size_t part = 0; part < kNumParts; ++part) {
      prediction.provenance.at(part).add(layer.provenance().at(part));
    }
  }
  if (stages == 1) return all;
  const Seconds hop = stage_hop(machine, job, rows / (times * static_cast<Index>(pieces.size())));
  // The stage with most layers works through all pieces; one piece also passes the other stages.
  const Index most_layers = largest_share(job.model.num_layers, stages);
  const double part = static_cast<double>(most_layers) / static_cast<double>(job.model.num_layers);
  return part * all + (1 - part) * slowest + hops * hop;
}

}  // namespace

double Prediction::imbalance() const {
  Seconds most{};
  Seconds sum{};
  for (const RankTime& rank : ranks) {
    const Seconds computing =
        rank.busy() - rank.parts.at(static_cast<std::size_t>(Part::kCommunication));
    most = std::max(most, computing);
    sum += computing;
  }
  return sum.number > 0 ? static_cast<double>(ranks.size()) * (most / sum) : 1;
}

Prediction predict_first_token(const MachineModel& machine, const Job& job) {
  validate(job);
  const ApbConfig config = config_of(job);
  const SegmentStyle style = style_of(machine, job);
  Prediction prediction;
  prediction.num_gpus = num_gpus(job);

  std::vector<LayerPlan> pieces;
  Index times = 1;
  Job piece = job;
  if (entry_of(job.method).division == Division::kDocument) {
    piece.batch = job.batch / job.pipeline_chunks;
    times = job.pipeline_chunks;
    pieces.push_back(plan_layer(piece, config, style, {0, config.doc_len}));
  } else {
    for (const Chunk& chunk : equal_chunks(0, config.doc_len, job.pipeline_chunks)) {
      pieces.push_back(plan_layer(job, config, style, chunk));
    }
  }
  Index rows = 0;
  for (const Index block_len : config.block_lens) rows = std::max(rows, block_len);
  if (rows == 0) rows = largest_share(config.doc_len, config.num_ranks);
  prediction.prefill = pipelined(machine, piece, prediction, pieces, times, rows);
  prediction.query_pass = pass_time(machine, job, config, config.query_len, 0);
  prediction.lm_head = TimedLayer(machine, job, plan_lm_head(job)).run(1);

  prediction.memory = memory_of(job, config, machine.profile());
  prediction.fit = fit_of(prediction.memory.total(), machine.profile());
  prediction.kept_cache_bytes = kept_cache_bytes(job, config);
  const auto last = std::max_element(prediction.finished.begin(), prediction.finished.end());
  prediction.spread =
      spread_of(prediction.ranks[static_cast<std::size_t>(last - prediction.finished.begin())],
                sum_of(prediction.provenance), machine.profile().spread);
  return prediction;
}

Prediction predict(const MachineModel& machine, const Job& job) {
  Prediction prediction = predict_first_token(machine, job);
  prediction.decode_step =
      pass_time(machine, job, config_of(job), 1, job.lengths.query_len) + prediction.lm_head;
  return prediction;
}

JobWork work_of_job(const MachineModel& machine, const Job& job) {
  validate(job);
  const ApbConfig config = config_of(job);
  JobWork work;
  work.prefill = work_of(plan_layer(job, config, style_of(machine, job), {0, config.doc_len}));
  work.query_pass = work_of(plan_query_pass(job, config, config.query_len, 0));
  work.decode_step = work_of(plan_query_pass(job, config, 1, config.query_len));
  work.lm_head = work_of(plan_lm_head(job)).front().at(static_cast<std::size_t>(Part::kOutput));
  return work;
}

void trace_prefill(const MachineModel& machine, const Job& job, Index num_layers,
                   const std::function<void(const Interval&)>& record, bool each_ring_step) {
  validate(job);
  const ApbConfig config = config_of(job);
  const LayerPlan plan =
      plan_layer(job, config, style_of(machine, job), {0, config.doc_len}, each_ring_step);
  TimedLayer(machine, job, plan).run(num_layers, record);
}

}  // namespace apb::sim
