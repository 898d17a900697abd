// Collectives: the table of this kind and number of ranks where there is one, else the nearest
// number of ranks scaled by what each rank must receive, else latency and bandwidth; for several
// nodes a hierarchy of link and NICs.

#include <algorithm>
#include <cmath>

#include "sim/machine/machine_model.hpp"

namespace apb::sim {
namespace {

/// Bytes that a GPU must receive over its link, as a share of the collective's size.
double received_share(CollectiveKind kind, Index num_ranks) {
  const auto ranks = static_cast<double>(num_ranks);
  switch (kind) {
    case CollectiveKind::kAllGather:
    case CollectiveKind::kAllToAll:
      return (ranks - 1) / ranks;
    case CollectiveKind::kAllReduce:
      return 2 * (ranks - 1) / ranks;
    case CollectiveKind::kSendReceive:
      return 1;
  }
  return 1;
}

}  // namespace

Duration MachineModel::table_time(const CollectiveTable& table, Bytes size) const {
  const std::vector<CollectivePoint>& points = table.points;
  if (size <= points.front().size) {
    if (points.front().size.number == size.number) return {points.front().time, table.provenance};
    // Small messages cost what the latency costs; never more than the smallest one measured.
    const Seconds latency =
        std::min(points.front().time, Seconds(profile_.collective_latency_s.number));
    const double part = size / points.front().size;
    return {latency + part * (points.front().time - latency), Provenance::kExtrapolated};
  }
  if (size > points.back().size) {
    // Beyond the largest: its latency once, its bandwidth on.
    const CollectivePoint& last = points.back();
    const Seconds latency = std::min(last.time, Seconds(profile_.collective_latency_s.number));
    return {latency + (size / last.size) * (last.time - latency), Provenance::kExtrapolated};
  }
  const auto above = std::lower_bound(
      points.begin(), points.end(), size,
      [](const CollectivePoint& point, Bytes wanted) { return point.size < wanted; });
  if (above->size.number == size.number) return {above->time, table.provenance};
  const CollectivePoint& below = *(above - 1);
  const double part = (size - below.size) / (above->size - below.size);
  return {below.time + part * (above->time - below.time),
          worse(table.provenance, Provenance::kInterpolated)};
}

Duration MachineModel::node_time(CollectiveKind kind, Index num_ranks, Bytes size) const {
  const CollectiveTable* best = nullptr;
  const auto distance = [&](const CollectiveTable& table) {
    return std::abs(
        std::log(static_cast<double>(table.num_ranks) / static_cast<double>(num_ranks)));
  };
  for (const CollectiveTable& table : profile_.collectives) {
    if (table.kind != kind || table.num_nodes != 1 || table.points.empty()) continue;
    if (best == nullptr || distance(table) < distance(*best)) best = &table;
  }
  if (best != nullptr && best->num_ranks == num_ranks) return table_time(*best, size);
  const double share = received_share(kind, num_ranks);
  if (best != nullptr) {
    // The same bytes into each GPU take the same time; a bus is a bus.
    const double scale = share / received_share(kind, best->num_ranks);
    const Duration time = table_time(*best, scale * size);
    return {time.time, Provenance::kExtrapolated};
  }
  const BytesPerSecond link(profile_.link_efficiency.number * profile_.link_bytes_per_s.number);
  return {Seconds(profile_.collective_latency_s.number) + (share * size) / link,
          worse(profile_.link_efficiency.provenance, profile_.link_bytes_per_s.provenance)};
}

Duration MachineModel::collective_time(CollectiveKind kind, const Placement& placement,
                                       Bytes size) const {
  if (placement.num_ranks <= 1 || size.number <= 0) return {Seconds(0), Provenance::kMeasured};
  const Index nodes = placement.num_nodes();
  if (nodes == 1) return node_time(kind, placement.num_ranks, size);

  for (const CollectiveTable& table : profile_.collectives) {
    if (table.kind == kind && table.num_ranks == placement.num_ranks && table.num_nodes == nodes &&
        !table.points.empty()) {
      return table_time(table, size);
    }
  }
  // Inside a node at link speed; between nodes at the speed of the NICs that this group can use.
  const Duration inside = node_time(kind, std::max<Index>(2, placement.ranks_per_node), size);
  double leaving = 0;  // bytes that a node receives, as a share of size
  switch (kind) {
    case CollectiveKind::kAllGather:
      leaving = received_share(kind, nodes);
      break;
    case CollectiveKind::kAllReduce:
      leaving = received_share(kind, nodes);
      break;
    case CollectiveKind::kAllToAll:
      leaving = static_cast<double>(placement.ranks_per_node) * received_share(kind, nodes);
      break;
    case CollectiveKind::kSendReceive:
      leaving = 1;
      break;
  }
  const double nics =
      profile_.nics_per_node.number / static_cast<double>(placement.groups_per_node);
  // One message between two GPUs goes through one NIC, or its share of one.
  const double usable = kind == CollectiveKind::kSendReceive ? std::min(1.0, nics) : nics;
  const BytesPerSecond outside(usable * profile_.nic_bytes_per_s.number *
                               profile_.nic_efficiency.number);
  const double hops = std::ceil(std::log2(static_cast<double>(nodes)));
  const Seconds latency = hops * Seconds(profile_.node_latency_s.number);
  const Seconds between = (leaving * size) / outside;
  return {latency + std::max(inside.time, between),
          worse(inside.provenance,
                worse(profile_.nic_efficiency.provenance, profile_.nic_bytes_per_s.provenance))};
}

}  // namespace apb::sim
