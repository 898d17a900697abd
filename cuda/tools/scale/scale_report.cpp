#include "cuda/tools/scale/scale_report.hpp"

#include <fmt/format.h>

#include "reference/cli/text_table.hpp"

namespace apb::cuda {
namespace {

std::string_view name_of(const ExchangePoint& point) {
  return kExchangeNames.at(static_cast<std::size_t>(point.kind));
}

const ExchangeTime* find(const ScaleResults& results, ExchangePoint point) {
  for (const ExchangeTime& time : results.exchanges) {
    const ExchangePoint& its = time.point;
    if (its.kind == point.kind && its.bytes == point.bytes && its.windows == point.windows &&
        its.captured == point.captured) {
      return &time;
    }
  }
  return nullptr;
}

double gb_per_s(const ExchangeTime& time) {
  return 1e-9 * static_cast<double>(time.point.bytes) / time.time.median_s;
}

double bus_gb_per_s(const ExchangeTime& time, int num_ranks) {
  return gb_per_s(time) * bus_share(time.point.kind, num_ranks);
}

const ScaledLayer* full_of(const ScaleResults& results, Index doc_len) {
  for (const ScaledLayer& layer : results.layers) {
    if (layer.method == "full" && layer.doc_len == doc_len && layer.why_not.empty()) return &layer;
  }
  return nullptr;
}

std::string ms(double seconds) {
  return fmt::format("{:.2f}", 1e3 * seconds);
}

std::string method_line(const ScaledLayer& layer, const ScaledLayer* full) {
  if (!layer.why_not.empty()) return fmt::format("{:<16}{}\n", layer.method, layer.why_not);
  const bool exchanges = layer.exchange.median_s > 0;
  const auto if_it_does = [&](const std::string& text) { return exchanges ? text : ""; };
  const std::optional<double> won_s = layer.won_s();
  return fmt::format(
      "{:<16}{:>9}{:>11}{:>10}{:>9}{:>8}{:>9}{:>9}   {} to {}, {}\n", layer.method,
      ms(layer.whole.median_s), if_it_does(ms(layer.computing.median_s)),
      if_it_does(ms(layer.exchange.median_s)), if_it_does(won_s ? ms(*won_s) : "?"),
      if_it_does(won_s ? fmt::format("{:.0f} %", 100 * *won_s / layer.exchange.median_s) : "?"),
      if_it_does(fmt::format("{:.1f}", 1e-6 * layer.received_bytes)),
      full == nullptr ? "" : fmt::format("{:.2f}x", full->whole.median_s / layer.whole.median_s),
      ms(layer.whole.least_s), ms(layer.whole.most_s), layer.runs);
}

std::string rank_line(const ScaledLayer& layer, std::size_t rank) {
  const LayerRun& run = layer.of_rank[rank];
  std::string text = fmt::format("{:<16}{:>5}", layer.method, rank);
  for (const double seconds : run.part_s) {
    text += fmt::format("{:>9}", seconds == 0 ? "" : ms(seconds));
  }
  return text + fmt::format("{:>9}\n", ms(run.total_s));
}

}  // namespace

std::string heading_text(const ScaleResults& results) {
  std::string text = fmt::format(
      "{} ranks on {}: {}; {}, {}\n", results.num_ranks,
      results.num_nodes == 1 ? "one machine" : fmt::format("{} machines", results.num_nodes),
      results.gpus.front(), results.versions, results.date);
  if (results.rehearsed) {
    text +=
        "REHEARSAL: ranks share a GPU and talk through sockets. Right or wrong can be told here,"
        " times mean nothing.\n";
  }
  return text;
}

std::string exchanges_text(const ScaleResults& results) {
  std::string text = fmt::format(
      "\nexchanges between {} ranks, bf16, every word checked; GB/s are nccl-tests' busbw\n"
      "{:<14}{:>11}{:>10}{:>22}{:>8}{:>8}{:>10}{:>10}{:>10}\n",
      results.num_ranks, "", "bytes", "us", "least to most", "algbw", "busbw", "captured",
      "windows", "both");
  for (const ExchangeTime& time : results.exchanges) {
    if (time.point.windows || time.point.captured) continue;
    text += fmt::format(
        "{:<14}{:>11}{:>10.1f}{:>22}{:>8.1f}{:>8.1f}", name_of(time.point), time.point.bytes,
        1e6 * time.time.median_s,
        fmt::format("{:.1f} to {:.1f}", 1e6 * time.time.least_s, 1e6 * time.time.most_s),
        gb_per_s(time), bus_gb_per_s(time, results.num_ranks));
    for (const auto& [windows, captured] : {std::pair(false, true), {true, false}, {true, true}}) {
      const ExchangeTime* other =
          find(results, {time.point.kind, time.point.bytes, windows, captured});
      text += other == nullptr ? fmt::format("{:>10}", "")
                               : fmt::format("{:>10.1f}", bus_gb_per_s(*other, results.num_ranks));
    }
    text += "\n";
  }
  if (!results.has_windows) text += "NCCL registers no windows between these ranks.\n";
  return text;
}

std::string layers_text(const ScaleResults& results, Index doc_len) {
  const ScaledLayer* full = full_of(results, doc_len);
  std::string text = fmt::format(
      "\n{}, {} tokens on {} ranks: one layer, ms, the slowest rank; medians\n"
      "{:<16}{:>9}{:>11}{:>10}{:>9}{:>8}{:>9}{:>9}   least to most, runs\n",
      results.model, with_separators(doc_len), results.num_ranks, "method", "whole", "computing",
      "exchange", "won", "hidden", "MB in", "x Full");
  for (const ScaledLayer& layer : results.layers) {
    if (layer.doc_len == doc_len) text += method_line(layer, full);
  }
  text += fmt::format("{:<16}{:>5}", "parts", "rank");
  for (const char* part : kLayerPartNames) text += fmt::format("{:>9}", part);
  text += fmt::format("{:>9}\n", "all");
  for (const ScaledLayer& layer : results.layers) {
    if (layer.doc_len != doc_len) continue;
    for (std::size_t rank = 0; rank < layer.of_rank.size(); ++rank) {
      if (layer.of_rank[rank].total_s > 0) text += rank_line(layer, rank);
    }
  }
  return text +
         "won: computing and exchange one after the other, less both at once; ?: too little to "
         "tell it from how runs differ.\nwait: for an exchange that nothing hides; select holds "
         "the packing of messages.\n";
}

std::string prefills_text(const ScaleResults& results) {
  std::string text = fmt::format(
      "\n{}, all layers, random weights\n{:<8}{:>9}{:>7}{:>12}{:>20}{:>14}{:>14}\n", results.model,
      "method", "tokens", "ranks", "prefill s", "least to most", "a layer ms", "a token ms");
  for (const ScaledPrefill& prefill : results.prefills) {
    text += fmt::format("{:<8}{:>9}{:>7}", prefill.method, with_separators(prefill.doc_len),
                        prefill.config.num_ranks);
    text += prefill.why_not.empty()
                ? fmt::format(
                      "{:>12.3f}{:>20}{:>14.2f}{:>14.2f}\n", prefill.whole.median_s,
                      fmt::format("{:.3f} to {:.3f}", prefill.whole.least_s, prefill.whole.most_s),
                      1e3 * prefill.layer_s, 1e3 * prefill.token_s)
                : fmt::format("  {}\n", prefill.why_not);
  }
  return text;
}

}  // namespace apb::cuda
