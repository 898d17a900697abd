#include "sim/tools/prediction_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "reference/cli/text_table.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

std::string milliseconds(Seconds time) {
  return fmt::format("{:.2f}", 1e3 * time.number);
}

/// "measured", or "measured, extrapolated 30 %": the main kind, and the other with most doubt.
std::string main_provenance(const ProvenanceTime& provenance) {
  const auto main = static_cast<std::size_t>(
      std::max_element(provenance.time.begin(), provenance.time.end()) - provenance.time.begin());
  for (std::size_t i = kProvenanceNames.size(); i-- > 0;) {
    if (i == main || provenance.share(i) < 0.005) continue;
    return fmt::format("{}, {} {:.0f} %", kProvenanceNames.at(main), kProvenanceNames.at(i),
                       100 * provenance.share(i));
  }
  return std::string(kProvenanceNames.at(main));
}

nlohmann::ordered_json shares_of(const ProvenanceTime& provenance) {
  nlohmann::ordered_json shares;
  for (std::size_t i = 0; i < kProvenanceNames.size(); ++i) {
    shares[std::string(kProvenanceNames.at(i))] = provenance.share(i);
  }
  return shares;
}

RankTime mean_of(const std::vector<RankTime>& ranks) {
  RankTime mean;
  for (const RankTime& rank : ranks)
    add_rank_time(mean, rank, 1.0 / static_cast<double>(ranks.size()));
  return mean;
}

}  // namespace

std::size_t slowest_rank(const Prediction& prediction) {
  // Ranks that wait for each other finish together: the slowest is the one that waited least.
  const auto less_busy = [](const RankTime& a, const RankTime& b) { return a.busy() < b.busy(); };
  return static_cast<std::size_t>(
      std::max_element(prediction.ranks.begin(), prediction.ranks.end(), less_busy) -
      prediction.ranks.begin());
}

std::string job_title(const Job& job) {
  const SimMethodEntry& entry = entry_of(job.method);
  const Index gpus = num_gpus(job);
  std::string how;
  if (entry.division == Division::kDocument) how += counted(job.lengths.num_ranks, "rank");
  if (heads_shared_by(job) > 1)
    how += fmt::format("{}tp {}", how.empty() ? "" : " x ", heads_shared_by(job));
  if (job.pipeline_stages > 1)
    how += fmt::format("{}pp {}", how.empty() ? "" : " x ", job.pipeline_stages);
  return fmt::format("{} on {}{}", entry.title, counted(gpus, "GPU"),
                     how.empty() ? "" : " (" + how + ")");
}

Table parts_table(const Prediction& prediction) {
  const std::size_t slowest = slowest_rank(prediction);
  const RankTime mean = mean_of(prediction.ranks);
  Table table{{"ms"}, {}};
  std::vector<RankTime> columns;
  if (slowest != 0) {
    table.header.push_back("rank 0");
    columns.push_back(prediction.ranks.front());
  }
  table.header.push_back(fmt::format("rank {}, the busiest", slowest));
  columns.push_back(prediction.ranks[slowest]);
  if (prediction.ranks.size() > 1) {
    table.header.emplace_back("mean");
    columns.push_back(mean);
  }
  table.header.emplace_back("rests on");
  const auto row = [&](std::string_view name, const std::string& rests_on, auto&& value) {
    std::vector<std::string> cells{std::string(name)};
    bool any = false;
    for (const RankTime& rank : columns) {
      any = any || value(rank).number > 0;
      cells.push_back(milliseconds(value(rank)));
    }
    cells.push_back(rests_on);
    if (any) table.rows.push_back(std::move(cells));
  };
  for (std::size_t part = 0; part < kNumParts; ++part) {
    row(kPartNames.at(part), main_provenance(prediction.provenance.at(part)),
        [part](const RankTime& rank) { return rank.parts.at(part); });
  }
  row("launches", "", [](const RankTime& rank) { return rank.host; });
  row("waiting for others", "", [](const RankTime& rank) { return rank.waiting; });
  row("prefill", "", [](const RankTime& rank) { return rank.busy() + rank.waiting; });
  return table;
}

Table work_table(const JobWork& work, std::size_t rank) {
  Table table{{fmt::format("rank {}, one GPU", rank), "FLOP", "memory bytes", "received", "sent"},
              {}};
  const auto row = [&](std::string_view name, const PartWork& part) {
    if (part.flop + part.device_bytes + part.bytes_received + part.bytes_sent == 0) return;
    table.rows.push_back({std::string(name), with_separators(part.flop),
                          with_separators(part.device_bytes), with_separators(part.bytes_received),
                          with_separators(part.bytes_sent)});
  };
  for (std::size_t part = 0; part < kNumParts; ++part) {
    row(kPartNames.at(part), work.prefill[rank].at(part));
  }
  row("all, one layer of prefill", sum_of(work.prefill[rank]));
  row("one layer of the question", sum_of(work.query_pass[rank]));
  row("one layer of a further token", sum_of(work.decode_step[rank]));
  row("first logits", work.lm_head);
  return table;
}

std::string provenance_text(const ProvenanceTime& provenance) {
  std::string text;
  for (std::size_t i = 0; i < kProvenanceNames.size(); ++i) {
    if (provenance.share(i) < 0.0005) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", kProvenanceNames.at(i),
                        percent_text(provenance.share(i)));
  }
  return text;
}

nlohmann::ordered_json to_json(const Job& job) {
  const ApbConfig& lengths = job.lengths;
  return {{"method", entry_of(job.method).name},
          {"model", job.model.name},
          {"doc_len", lengths.doc_len},
          {"num_ranks", lengths.num_ranks},
          {"block_lens", lengths.block_lens},
          {"query_len", lengths.query_len},
          {"anchor_len", lengths.anchor_len},
          {"num_kept", lengths.num_kept},
          {"batch", job.batch},
          {"tensor_parallel", heads_shared_by(job)},
          {"pipeline_stages", job.pipeline_stages},
          {"pipeline_chunks", job.pipeline_chunks},
          {"num_gpus", num_gpus(job)}};
}

nlohmann::ordered_json to_json(const Band& band) {
  return {{"p10_s", band.p10.number}, {"p50_s", band.p50.number}, {"p90_s", band.p90.number}};
}

nlohmann::ordered_json to_json(const JobWork& work) {
  const auto one = [](const PartWork& part) {
    return nlohmann::ordered_json{{"flop", part.flop},
                                  {"device_bytes", part.device_bytes},
                                  {"bytes_received", part.bytes_received},
                                  {"bytes_sent", part.bytes_sent}};
  };
  const auto ranks = [&](const std::vector<LayerWork>& layers) {
    nlohmann::ordered_json list = nlohmann::ordered_json::array();
    for (const LayerWork& layer : layers) {
      nlohmann::ordered_json parts;
      for (std::size_t part = 0; part < kNumParts; ++part) {
        parts[std::string(kPartNames.at(part))] = one(layer.at(part));
      }
      list.push_back(std::move(parts));
    }
    return list;
  };
  return {{"prefill_layer", ranks(work.prefill)},
          {"query_pass_layer", ranks(work.query_pass)},
          {"decode_step_layer", ranks(work.decode_step)},
          {"lm_head", one(work.lm_head)}};
}

nlohmann::ordered_json to_json(const Prediction& prediction) {
  nlohmann::ordered_json ranks = nlohmann::ordered_json::array();
  for (std::size_t r = 0; r < prediction.ranks.size(); ++r) {
    const RankTime& rank = prediction.ranks[r];
    nlohmann::ordered_json parts;
    for (std::size_t part = 0; part < kNumParts; ++part) {
      parts[std::string(kPartNames.at(part)) + "_s"] = rank.parts.at(part).number;
    }
    ranks.push_back({{"rank", r},
                     {"parts", parts},
                     {"launches_s", rank.host.number},
                     {"waiting_s", rank.waiting.number},
                     {"finished_s", prediction.finished[r].number}});
  }
  nlohmann::ordered_json part_provenance;
  for (std::size_t part = 0; part < kNumParts; ++part) {
    part_provenance[std::string(kPartNames.at(part))] = shares_of(prediction.provenance.at(part));
  }
  const Memory& memory = prediction.memory;
  return {{"time_to_first_token_s", prediction.time_to_first_token().number},
          {"band", to_json(prediction.band())},
          {"prefill_s", prediction.prefill.number},
          {"query_pass_s", prediction.query_pass.number},
          {"lm_head_s", prediction.lm_head.number},
          {"decode_step_s", prediction.decode_step.number},
          {"imbalance", prediction.imbalance()},
          {"memory_bytes",
           {{"weights", memory.weights},
            {"cache", memory.cache},
            {"activations", memory.activations},
            {"exchange", memory.exchange},
            {"logits", memory.logits},
            {"reserved", memory.reserved},
            {"total", memory.total()}}},
          {"fit", to_string(prediction.fit)},
          {"kept_cache_bytes", prediction.kept_cache_bytes},
          {"provenance", shares_of(sum_of(prediction.provenance))},
          {"part_provenance", part_provenance},
          {"ranks", ranks}};
}

}  // namespace apb::sim
