#include "sim/calibrate/measurements.hpp"

#include <stdexcept>

namespace apb::sim {

AttentionTable& Measurements::attention_of(const std::string& backend, Index head_dim) {
  for (AttentionTable& table : attention) {
    if (table.backend == backend && table.head_dim == head_dim) return table;
  }
  AttentionTable& table = attention.emplace_back();
  table.backend = backend;
  table.head_dim = head_dim;
  return table;
}

CollectiveTable& Measurements::collective_of(CollectiveKind kind, Index num_ranks,
                                             Index num_nodes) {
  for (CollectiveTable& table : collectives) {
    if (table.kind == kind && table.num_ranks == num_ranks && table.num_nodes == num_nodes) {
      return table;
    }
  }
  CollectiveTable& table = collectives.emplace_back();
  table.kind = kind;
  table.num_ranks = num_ranks;
  table.num_nodes = num_nodes;
  return table;
}

std::size_t Measurements::size() const {
  std::size_t sum = gemm.size();
  for (const AttentionTable& table : attention) sum += table.points.size();
  for (const CollectiveTable& table : collectives) sum += table.points.size();
  return sum;
}

void Measurements::add(const Measurements& more) {
  const auto append = [](auto& to, const auto& from) {
    to.insert(to.end(), from.begin(), from.end());
  };
  append(gemm, more.gemm);
  for (const AttentionTable& table : more.attention) {
    append(attention_of(table.backend, table.head_dim).points, table.points);
  }
  for (const CollectiveTable& table : more.collectives) {
    append(collective_of(table.kind, table.num_ranks, table.num_nodes).points, table.points);
  }
}

AttentionPoint attention_point(MaskKind mask, Index q_len, Index kv_len, Index num_q_heads,
                               Index head_dim, Seconds time) {
  AttentionPoint point{mask, q_len, kv_len, num_q_heads, {}};
  if (mask == MaskKind::kCausal && q_len > kv_len) {
    throw std::invalid_argument("attention_point: rows without keys");
  }
  const double pairs = static_cast<double>(q_len) * point.mean_keys();
  point.rate = FlopPerSecond(4 * static_cast<double>(head_dim) * pairs *
                             static_cast<double>(num_q_heads) / time.number);
  return point;
}

GemmPoint gemm_point(Index m, Index n, Index k, Seconds time) {
  const double flop = 2 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return {m, n, k, FlopPerSecond(flop / time.number)};
}

}  // namespace apb::sim
