#include "cuda/tools/bench/measure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "cuda/benchmarks/absent_partners.hpp"
#include "cuda/benchmarks/balanced_blocks.hpp"
#include "cuda/benchmarks/block_layer.hpp"
#include "cuda/benchmarks/random_values.hpp"
#include "cuda/benchmarks/ring_layer.hpp"
#include "cuda/decode/attend_cache.hpp"
#include "cuda/decode/merge_partials.hpp"
#include "cuda/error.hpp"

namespace apb::cuda {
namespace {

using Say = std::function<void(const std::string&)>;

/// Whether two ranks do the same work.
bool alike(const RankLayout& a, const RankLayout& b) {
  return a.anchor_rows == b.anchor_rows && a.block_len == b.block_len &&
         a.passing_rows == b.passing_rows;
}

RankTime rank_time(int rank, Index anchor_rows, Index block_len,
                   const std::vector<LayerRun>& runs) {
  return {rank,
          rank,
          anchor_rows,
          block_len,
          runs[runs.size() / 2],
          runs.front().total_s,
          runs.back().total_s,
          static_cast<int>(runs.size()),
          0};
}

/// All-gather of the kept entries: every rank receives those of all others.
double all_gather_s(const BlockLayer& layer, const Link& link) {
  if (layer.passing().kept.size() == 0) return 0;
  const auto others = static_cast<double>(layer.config().num_ranks - 1);
  return link.seconds(others * static_cast<double>(layer.passing().kept.size() * sizeof(Bfloat16)));
}

/// Runs `measure`, which fills the ranks' times.
MethodTime measured(std::string name, const ApbConfig& config,
                    const std::function<void(std::vector<RankTime>&)>& measure) {
  MethodTime time{.name = std::move(name), .config = config};
  try {
    measure(time.ranks);
  } catch (const CudaError& error) {
    if (error.cuda_status() != cudaErrorMemoryAllocation) throw;
    (void)cudaGetLastError();
    time.ranks.clear();
    time.no_room = true;
  }
  return time;
}

MethodTime measure_blocks(const std::string& name, Method method, const ApbConfig& config,
                          const DeviceModel<Bfloat16>& model, const Link& link, const Say& say) {
  return measured(name, config, [&](std::vector<RankTime>& ranks) {
    const ColdCache cache;
    const BlockLayout layout = method_layout(method, config);
    for (int rank = 0; rank < config.num_ranks; ++rank) {
      const RankLayout& its = layout.ranks[static_cast<std::size_t>(rank)];
      if (rank > 0 && alike(its, layout.ranks[static_cast<std::size_t>(rank - 1)])) {
        ranks.back().last_rank = rank;
        continue;
      }
      say(fmt::format("{} rank {}", name, rank));
      AbsentPartners partners(rank, config.num_ranks);
      BlockLayer layer(method, config, partners, model);
      const auto runs = counted_runs<LayerRun>(
          [&] { return layer.run([&](cudaStream_t stream) { cache.chill(stream); }); });
      ranks.push_back(rank_time(rank, its.anchor_rows, its.block_len, runs));
      ranks.back().exchange_s = all_gather_s(layer, link);
    }
  });
}

/// Messages travel while the step before is computed: a step waits for what that did not hide.
double waited_s(const RingLayer& layer, const RingRun& run, const Link& link) {
  double waited = 0;
  for (int step = 1; step < layer.num_ranks(); ++step) {
    const double travels =
        link.seconds(static_cast<double>(layer.message_bytes(layer.owner(step))));
    waited += std::max(0.0, travels - run.step_s[static_cast<std::size_t>(step - 1)]);
  }
  return waited;
}

MethodTime measure_ring(const ApbConfig& config, const DeviceModel<Bfloat16>& model,
                        const Link& link, const Say& say) {
  return measured("zigzag_ring", config, [&](std::vector<RankTime>& ranks) {
    const ColdCache cache;
    for (int rank = 0; rank < config.num_ranks; ++rank) {
      say(fmt::format("zigzag_ring rank {}", rank));
      RingLayer layer(config.doc_len, config.num_ranks, rank, model);
      const auto runs = counted_runs<RingRun>(
          [&] { return layer.run([&](cudaStream_t stream) { cache.chill(stream); }); });
      std::vector<LayerRun> layers;
      for (const RingRun& run : runs) layers.push_back(run.layer);
      ranks.push_back(rank_time(rank, 0, layer.room().rows, layers));
      ranks.back().exchange_s = waited_s(layer, runs[runs.size() / 2], link);
    }
  });
}

/// APB with the blocks by which its ranks should take equally long, at the rates just measured.
ApbConfig balanced(const MethodTime& apb) {
  std::vector<RankCost> costs;
  for (const RankTime& rank : apb.ranks) {
    const double attention_s = rank.median.of(LayerPart::kAttention);
    for (int its = rank.first_rank; its <= rank.last_rank; ++its) {
      costs.push_back({rank.median.total_s - attention_s, attention_s});
    }
  }
  ApbConfig config = apb.config;
  config.block_lens = balanced_block_lens(apb.config, costs);
  return method_config(Method::kApb, config);
}

/// Attention of one new token over a rank's cache, and the merge of all ranks' partials.
void measure_decode(const ApbConfig& config, LengthTimes& times) {
  const Stream stream;
  const Index rows = config.resolved_block_lens().front();
  const Index heads = config.num_kv_heads, d = config.head_dim;
  const auto random = [&](Index count) {
    DeviceBuffer<Bfloat16> buffer(static_cast<std::size_t>(count));
    fill_normal(buffer.data(), count, 1, 7, stream.get());
    return buffer;
  };
  const auto query = random(config.num_q_heads * d), key = random(rows * heads * d),
             value = random(rows * heads * d);
  using Heads = DeviceHeads<const Bfloat16>;
  const CacheAttention<Bfloat16> problem{Heads::rows_first(query.data(), 1, config.num_q_heads, d),
                                         {Heads::rows_first(key.data(), rows, heads, d),
                                          Heads::rows_first(value.data(), rows, heads, d)},
                                         config.softmax_scale,
                                         0};
  const PartialShape shape{1, config.num_q_heads, d};
  const DeviceBuffer<float> workspace(static_cast<std::size_t>(problem.workspace_size()));
  const DeviceBuffer<float> partials(static_cast<std::size_t>(config.num_ranks * shape.size()));
  const DeviceBuffer<float> merged(static_cast<std::size_t>(shape.size()));
  for (int rank = 0; rank < config.num_ranks; ++rank) {
    attend_cache(problem, workspace.data(), partials.data() + rank * shape.size(), stream.get());
  }
  times.decode_attention = time_cold(
      [&] { attend_cache(problem, workspace.data(), partials.data(), stream.get()); }, 20, stream);
  times.decode_merge = time_cold(
      [&] {
        merge_partials(partials.data(), config.num_ranks, shape, merged.data(),
                       merged.data() + shape.out_size(), stream.get());
      },
      20, stream);
}

}  // namespace

ApbConfig paper_config(const ModelShape& shape, const LengthQuestion& question) {
  ApbConfig config;
  config.doc_len = question.doc_len;
  config.num_ranks = question.num_ranks;
  const Index block_len = config.resolved_block_lens().front();
  config.anchor_len = block_len / 4;
  config.num_kept = block_len / 8;
  config.compressor = Compressor::kRetainingHead;
  set_model_shape(config, shape);
  return method_config(Method::kApb, config);
}

ApbConfig full_config_of(const ApbConfig& apb) {
  ApbConfig config = apb;
  config.num_ranks = 1;
  return method_config(Method::kFull, config);
}

ApbConfig star_config_of(const ApbConfig& apb) {
  ApbConfig config = apb;
  config.anchor_len = apb.resolved_block_lens().front();
  return method_config(Method::kStar, config);
}

LengthTimes measure_length(const DeviceModel<Bfloat16>& model, const LengthQuestion& question,
                           const Say& progress) {
  const ApbConfig apb = paper_config(model.shape, question);
  const ApbConfig full = full_config_of(apb);
  LengthTimes times{.model = model.shape.name,
                    .doc_len = question.doc_len,
                    .methods = {},
                    .full_attention = {true, question.doc_len, question.doc_len, full.num_q_heads,
                                       full.num_kv_heads, full.head_dim}};
  const auto say = [&](const std::string& what) {
    progress(fmt::format("{}, {} tokens: {}", times.model, times.doc_len, what));
  };
  const auto add = [&](const char* name, Method method, const ApbConfig& config) {
    times.methods.push_back(measure_blocks(name, method, config, model, question.link, say));
  };
  add("full", Method::kFull, full);
  if (question.num_ranks > 1) {
    times.methods.push_back(
        measure_ring(method_config(Method::kZigzagRing, apb), model, question.link, say));
    add("star", Method::kStar, star_config_of(apb));
    add("apb", Method::kApb, apb);
    if (!times.methods.back().no_room) {
      add("apb_balanced", Method::kApb, balanced(times.methods.back()));
    }
    measure_decode(apb, times);
  }
  return times;
}

}  // namespace apb::cuda
