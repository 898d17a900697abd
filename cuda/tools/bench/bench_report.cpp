#include "cuda/tools/bench/bench_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "reference/cli/text_table.hpp"

namespace apb::cuda {
namespace {

std::string ranks_text(const RankTime& rank) {
  return rank.first_rank == rank.last_rank ? std::to_string(rank.first_rank)
                                           : fmt::format("{}-{}", rank.first_rank, rank.last_rank);
}

std::string ms_text(const std::optional<double>& seconds) {
  return seconds ? fmt::format("{:.2f}", 1e3 * *seconds) : "no room";
}

std::string ratio_text(const std::optional<double>& slow, const std::optional<double>& fast) {
  return slow && fast ? fmt::format("{:.2f}x", *slow / *fast) : "";
}

std::string line(const MethodTime& method, const RankTime& rank) {
  std::string text = fmt::format("{:<13}{:>5}{:>8}{:>8}", method.name, ranks_text(rank),
                                 rank.anchor_rows, rank.block_len);
  for (const double seconds : rank.median.part_s) {
    text += seconds == 0 ? fmt::format("{:>9}", "") : fmt::format("{:>9.2f}", 1e3 * seconds);
  }
  return text + fmt::format("{:>9.2f}{:>9.2f}   {:.2f} to {:.2f}, {}\n", 1e3 * rank.exchange_s,
                            1e3 * rank.total_s(), 1e3 * (rank.least_s + rank.exchange_s),
                            1e3 * (rank.most_s + rank.exchange_s), rank.runs);
}

std::optional<double> layer_s(const LengthTimes& times, std::string_view method) {
  const MethodTime* found = times.method(method);
  return found == nullptr ? std::nullopt : found->layer_s();
}

}  // namespace

std::string length_text(const LengthTimes& times) {
  std::string text =
      fmt::format("\n{}, {} tokens: one layer, ms\n{:<13}{:>5}{:>8}{:>8}", times.model,
                  with_separators(times.doc_len), "method", "rank", "anchor", "block");
  for (const char* part : kLayerPartNames) text += fmt::format("{:>9}", part);
  text += fmt::format("{:>9}{:>9}   least to most, runs\n", "exchange", "all");
  for (const MethodTime& method : times.methods) {
    if (method.no_room) text += fmt::format("{:<13}  no room in this GPU's memory\n", method.name);
    for (const RankTime& rank : method.ranks) text += line(method, rank);
  }
  if (const MethodTime* apb = times.method("apb"); apb != nullptr && !apb->ranks.empty()) {
    const LayerRun& last = apb->ranks.back().median;
    text += fmt::format("all but attention, products and scores: {:.1f} % of APB's last rank\n",
                        100 * last.small_steps_s() / last.total_s);
  }
  if (times.decode_merge.median_s > 0) {
    text +=
        fmt::format("one token's attention: {:.1f} us over a rank's cache, {:.1f} us to merge\n",
                    1e6 * times.decode_attention.median_s, 1e6 * times.decode_merge.median_s);
  }
  return text;
}

std::string summary_text(const BenchResults& results) {
  const bool peer = !results.peer.empty();
  std::string text =
      fmt::format("\none layer, slowest rank of {}, ms; then how many times faster APB is\n",
                  results.num_ranks);
  text +=
      fmt::format("{:<16}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}  {:>9}{:>9}{:>9}{:>9}{:>9}\n",
                  "model", "tokens", "full", peer ? "by cuDNN" : "", "zigzag", "star", "apb",
                  "balanced", "full", peer ? "by cuDNN" : "", "zigzag", "star", "unequal");
  for (const LengthTimes& times : results.lengths) {
    const auto full = layer_s(times, "full"), ring = layer_s(times, "zigzag_ring"),
               star = layer_s(times, "star"), apb = layer_s(times, "apb"),
               balanced = layer_s(times, "apb_balanced"), by_peer = times.full_by_peer_s();
    text +=
        fmt::format("{:<16}{:>9}{:>10}{:>10}{:>10}{:>10}{:>10}{:>10}  {:>9}{:>9}{:>9}{:>9}{:>9}\n",
                    times.model, with_separators(times.doc_len), ms_text(full),
                    peer ? ms_text(by_peer) : "", ms_text(ring), ms_text(star), ms_text(apb),
                    ms_text(balanced), ratio_text(full, apb), peer ? ratio_text(by_peer, apb) : "",
                    ratio_text(ring, apb), ratio_text(star, apb), ratio_text(apb, balanced));
  }
  text += fmt::format(
      "\nunequal: what blocks that balance the ranks win over equal ones.\n"
      "Exchanges are not measured but taken from --link {:g} GB/s and --latency {:g} us: APB's "
      "all-gather in full,\nof the ring what its steps do not hide.\n",
      1e-9 * results.link.bytes_per_s, 1e6 * results.link.latency_s);
  if (!peer) return text + fmt::format("No time by cuDNN: {}.\n", results.no_peer);
  text += fmt::format("By cuDNN: Full with the attention of {}.\n", results.peer);
  for (const LengthTimes& times : results.lengths) {
    const auto at_its_rate = times.apb_at_peer_rate_s(), by_peer = times.full_by_peer_s();
    if (!at_its_rate) continue;
    text += fmt::format(
        "{}, {} tokens: at cuDNN's rate APB's layer would take {:.2f} ms, {:.2f}x faster than Full "
        "by cuDNN: what our portable attention kernel loses\n",
        times.model, with_separators(times.doc_len), 1e3 * *at_its_rate, *by_peer / *at_its_rate);
  }
  return text;
}

std::string bench_csv(const BenchResults& results) {
  std::string text =
      "model,doc_len,num_ranks,method,anchor_len,num_kept,first_rank,last_rank,anchor_rows,block_"
      "len,part,ms,least_ms,most_ms\n";
  for (const LengthTimes& times : results.lengths) {
    for (const MethodTime& method : times.methods) {
      for (const RankTime& rank : method.ranks) {
        const std::string head = fmt::format(
            "{},{},{},{},{},{},{},{},{},{}", times.model, times.doc_len, method.config.num_ranks,
            method.name, method.config.anchor_len, method.config.num_kept, rank.first_rank,
            rank.last_rank, rank.anchor_rows, rank.block_len);
        for (std::size_t part = 0; part < kLayerPartNames.size(); ++part) {
          text += fmt::format("{},{},{:.6g},,\n", head, kLayerPartNames.at(part),
                              1e3 * rank.median.part_s.at(part));
        }
        text += fmt::format("{},exchange,{:.6g},,\n", head, 1e3 * rank.exchange_s);
        text += fmt::format("{},all,{:.6g},{:.6g},{:.6g}\n", head, 1e3 * rank.total_s(),
                            1e3 * (rank.least_s + rank.exchange_s),
                            1e3 * (rank.most_s + rank.exchange_s));
      }
    }
  }
  return text;
}

nlohmann::json products_json(const std::vector<ProductTime>& products) {
  nlohmann::json json = nlohmann::json::array();
  for (const ProductTime& product : products) {
    json.push_back({{"m", product.shape.m},
                    {"n", product.shape.n},
                    {"k", product.shape.k},
                    {"us", 1e6 * product.time.median_s}});
  }
  return json;
}

nlohmann::json attention_json(const std::vector<AttentionTime>& attention) {
  nlohmann::json json = nlohmann::json::array();
  for (const AttentionTime& time : attention) {
    json.push_back({{"backend", time.backend},
                    {"mask", time.shape.causal ? "causal" : "full"},
                    {"q_len", time.shape.q_len},
                    {"kv_len", time.shape.kv_len},
                    {"num_q_heads", time.shape.num_q_heads},
                    {"num_kv_heads", time.shape.num_kv_heads},
                    {"head_dim", time.shape.head_dim},
                    {"fused_segments", time.backend == kOwnBackend},
                    {"us", 1e6 * time.seconds}});
  }
  return json;
}

nlohmann::json bench_json(const BenchResults& results) {
  nlohmann::json json{{"schema", "apb-bench"},
                      {"version", 1},
                      {"machine",
                       {{"gpu", results.gpu},
                        {"versions", results.versions},
                        {"date", results.date},
                        {"command", results.command},
                        {"peer", results.peer},
                        {"stated_link_gb_per_s", 1e-9 * results.link.bytes_per_s},
                        {"stated_latency_us", 1e6 * results.link.latency_s}}},
                      {"gemm", products_json(results.products)},
                      {"attention", attention_json(results.attention)},
                      {"collectives", nlohmann::json::array()},
                      {"layers", nlohmann::json::array()}};
  for (const LengthTimes& times : results.lengths) {
    for (const MethodTime& method : times.methods) {
      for (const RankTime& rank : method.ranks) {
        nlohmann::json parts;
        for (std::size_t part = 0; part < kLayerPartNames.size(); ++part) {
          parts[kLayerPartNames.at(part)] = 1e6 * rank.median.part_s.at(part);
        }
        json["layers"].push_back({{"model", times.model},
                                  {"doc_len", times.doc_len},
                                  {"num_ranks", method.config.num_ranks},
                                  {"method", method.name},
                                  {"anchor_len", method.config.anchor_len},
                                  {"num_kept", method.config.num_kept},
                                  {"first_rank", rank.first_rank},
                                  {"last_rank", rank.last_rank},
                                  {"block_len", rank.block_len},
                                  {"parts_us", parts},
                                  {"exchange_us", 1e6 * rank.exchange_s},
                                  {"us", 1e6 * rank.median.total_s},
                                  {"least_us", 1e6 * rank.least_s},
                                  {"most_us", 1e6 * rank.most_s}});
      }
    }
  }
  return json;
}

}  // namespace apb::cuda
