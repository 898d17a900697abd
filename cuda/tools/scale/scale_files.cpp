#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cuda/tools/bench/bench_report.hpp"
#include "cuda/tools/scale/scale_report.hpp"

namespace apb::cuda {
namespace {

using Json = nlohmann::json;

std::string_view kind_of(const ExchangePoint& point) {
  return kExchangeNames.at(static_cast<std::size_t>(point.kind));
}

Json timing_json(const Timing& timing) {
  return {{"us", 1e6 * timing.median_s},
          {"least_us", 1e6 * timing.least_s},
          {"most_us", 1e6 * timing.most_s}};
}

Json parts_json(const LayerRun& run) {
  Json parts;
  for (std::size_t part = 0; part < kLayerPartNames.size(); ++part) {
    parts[kLayerPartNames.at(part)] = 1e6 * run.part_s.at(part);
  }
  return parts;
}

Json layer_json(const ScaleResults& results, const ScaledLayer& layer) {
  Json json{{"model", results.model},
            {"doc_len", layer.doc_len},
            {"num_ranks", layer.method == "full" ? 1 : results.num_ranks},
            {"method", layer.method},
            {"anchor_len", layer.config.anchor_len},
            {"num_kept", layer.config.num_kept}};
  if (!layer.why_not.empty()) {
    json["why_not"] = layer.why_not;
    return json;
  }
  json.update(timing_json(layer.whole));
  json["runs"] = layer.runs;
  json["computing_us"] = 1e6 * layer.computing.median_s;
  json["exchange_us"] = 1e6 * layer.exchange.median_s;
  if (const std::optional<double> won_s = layer.won_s()) json["won_us"] = 1e6 * *won_s;
  json["won_spread_us"] = 1e6 * layer.less_spread_s;
  json["received_bytes"] = layer.received_bytes;
  json["ranks"] = Json::array();
  for (const LayerRun& run : layer.of_rank) {
    json["ranks"].push_back({{"us", 1e6 * run.total_s}, {"parts_us", parts_json(run)}});
  }
  return json;
}

Json prefill_json(const ScaleResults& results, const ScaledPrefill& prefill) {
  Json json{{"model", results.model},
            {"doc_len", prefill.doc_len},
            {"num_ranks", prefill.config.num_ranks},
            {"method", prefill.method},
            {"anchor_len", prefill.config.anchor_len},
            {"num_kept", prefill.config.num_kept},
            {"num_layers", prefill.num_layers}};
  if (!prefill.why_not.empty()) {
    json["why_not"] = prefill.why_not;
    return json;
  }
  json.update(timing_json(prefill.whole));
  json["layer_us"] = 1e6 * prefill.layer_s;
  json["token_us"] = 1e6 * prefill.token_s;
  return json;
}

Json exchange_json(const ScaleResults& results, const ExchangeTime& time) {
  Json json{{"kind", kind_of(time.point)},    {"num_ranks", results.num_ranks},
            {"num_nodes", results.num_nodes}, {"bytes", time.point.bytes},
            {"windows", time.point.windows},  {"captured", time.point.captured},
            {"wrong_words", time.wrong_words}};
  json.update(timing_json(time.time));
  return json;
}

/// One line of the CSV.
std::string row(std::string_view what, std::string_view name, Index size, int ranks,
                std::string_view part, const Timing& time) {
  return fmt::format("{},{},{},{},{},{:.6g},{:.6g},{:.6g}\n", what, name, size, ranks, part,
                     1e6 * time.median_s, 1e6 * time.least_s, 1e6 * time.most_s);
}

/// Of one number there is no spread.
Timing once(double seconds) {
  return {seconds, seconds, seconds};
}

std::string layer_rows(const ScaleResults& results, const ScaledLayer& layer) {
  if (!layer.why_not.empty()) return {};
  const auto line = [&](std::string_view part, const Timing& time) {
    return row("layer", layer.method, layer.doc_len, results.num_ranks, part, time);
  };
  std::string text = line("whole", layer.whole) + line("computing", layer.computing) +
                     line("exchange", layer.exchange);
  if (const std::optional<double> won_s = layer.won_s()) text += line("won", once(*won_s));
  for (std::size_t rank = 0; rank < layer.of_rank.size(); ++rank) {
    for (std::size_t part = 0; part < kLayerPartNames.size(); ++part) {
      text += line(fmt::format("rank {} {}", rank, kLayerPartNames.at(part)),
                   once(layer.of_rank[rank].part_s.at(part)));
    }
  }
  return text;
}

}  // namespace

std::string scale_csv(const ScaleResults& results) {
  std::string text = "what,name,size,num_ranks,part,us,least_us,most_us\n";
  for (const ExchangeTime& time : results.exchanges) {
    text += row("exchange", kind_of(time.point), static_cast<Index>(time.point.bytes),
                results.num_ranks,
                fmt::format("{} {}", time.point.windows ? "windows" : "plain",
                            time.point.captured ? "captured" : "eager"),
                time.time);
  }
  for (const ScaledLayer& layer : results.layers) text += layer_rows(results, layer);
  for (const ScaledPrefill& prefill : results.prefills) {
    if (!prefill.why_not.empty()) continue;
    const auto line = [&](std::string_view part, const Timing& time) {
      return row("prefill", prefill.method, prefill.doc_len, prefill.config.num_ranks, part, time);
    };
    text += line("whole", prefill.whole) + line("layer", once(prefill.layer_s)) +
            line("token", once(prefill.token_s));
  }
  return text;
}

nlohmann::json scale_json(const ScaleResults& results) {
  Json json{{"schema", "apb-bench"},
            {"version", 1},
            {"machine",
             {{"gpus", results.gpus},
              {"versions", results.versions},
              {"date", results.date},
              {"command", results.command},
              {"num_ranks", results.num_ranks},
              {"num_nodes", results.num_nodes},
              {"rehearsed", results.rehearsed},
              {"windows", results.has_windows},
              {"checks", results.checks}}},
            {"gemm", products_json(results.products)},
            {"attention", attention_json(results.attention)},
            {"collectives", Json::array()},
            {"exchanges", Json::array()},
            {"layers", Json::array()},
            {"prefills", Json::array()}};
  for (const ExchangeTime& time : results.exchanges) {
    json["exchanges"].push_back(exchange_json(results, time));
    if (time.point.windows || time.point.captured) continue;
    json["collectives"].push_back({{"kind", kind_of(time.point)},
                                   {"num_ranks", results.num_ranks},
                                   {"num_nodes", results.num_nodes},
                                   {"bytes", time.point.bytes},
                                   {"us", 1e6 * time.time.median_s}});
  }
  for (const ScaledLayer& layer : results.layers) {
    json["layers"].push_back(layer_json(results, layer));
  }
  for (const ScaledPrefill& prefill : results.prefills) {
    json["prefills"].push_back(prefill_json(results, prefill));
  }
  return json;
}

}  // namespace apb::cuda
