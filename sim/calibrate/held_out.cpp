#include "sim/calibrate/held_out.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "sim/calibrate/calibrate.hpp"
#include "sim/machine/machine_model.hpp"

namespace apb::sim {
namespace {

/// Measurements in two parts.
struct Split {
  Measurements kept;
  Measurements held;
};

/// Points of one curve by where they lie on it; those at one place stay together.
template <class Point>
using Curve = std::map<double, std::vector<Point>>;

/// Every second place, but not the last: what is held out has kept neighbours on both sides.
template <class Point, class Keep, class Hold>
void split_curve(const Curve<Point>& curve, const Keep& keep, const Hold& hold) {
  std::size_t i = 0;
  for (const auto& [place, points] : curve) {
    const bool held = i % 2 == 1 && i + 1 < curve.size();
    for (const Point& point : points) held ? hold(point) : keep(point);
    ++i;
  }
}

Split split(const Measurements& measured) {
  Split parts;
  std::map<std::pair<Index, Index>, Curve<GemmPoint>> shapes;
  for (const GemmPoint& point : measured.gemm) {
    shapes[{point.n, point.k}][static_cast<double>(point.m)].push_back(point);
  }
  for (const auto& [shape, curve] : shapes) {
    split_curve(
        curve, [&](const GemmPoint& point) { parts.kept.gemm.push_back(point); },
        [&](const GemmPoint& point) { parts.held.gemm.push_back(point); });
  }
  for (const AttentionTable& table : measured.attention) {
    std::map<MaskKind, Curve<AttentionPoint>> masks;
    for (const AttentionPoint& point : table.points) {
      masks[point.mask][point.mean_keys()].push_back(point);
    }
    auto& kept = parts.kept.attention_of(table.backend, table.head_dim).points;
    auto& held = parts.held.attention_of(table.backend, table.head_dim).points;
    for (const auto& [mask, curve] : masks) {
      split_curve(
          curve, [&](const AttentionPoint& point) { kept.push_back(point); },
          [&](const AttentionPoint& point) { held.push_back(point); });
    }
  }
  for (const CollectiveTable& table : measured.collectives) {
    Curve<CollectivePoint> curve;
    for (const CollectivePoint& point : table.points) curve[point.size.number].push_back(point);
    auto& kept = parts.kept.collective_of(table.kind, table.num_ranks, table.num_nodes).points;
    auto& held = parts.held.collective_of(table.kind, table.num_ranks, table.num_nodes).points;
    split_curve(
        curve, [&](const CollectivePoint& point) { kept.push_back(point); },
        [&](const CollectivePoint& point) { held.push_back(point); });
  }
  return parts;
}

}  // namespace

Measurements kept_half(const Measurements& measured) {
  return split(measured).kept;
}

HeldOutErrors hold_out(const MachineProfile& base, const Measurements& measured) {
  const auto [kept, held] = split(measured);
  const MachineModel model(merged(base, kept, "held-out"));
  HeldOutErrors errors;
  for (const GemmPoint& point : held.gemm) {
    const FlopPerSecond predicted = model.gemm_rate(point.m, point.n, point.k).rate;
    errors.gemm.push_back({"", fmt::format("m = {} of [{}, {}]", point.m, point.n, point.k),
                           point.rate / predicted - 1});
  }
  for (const AttentionTable& table : held.attention) {
    for (const AttentionPoint& point : table.points) {
      const Rate predicted = model.attention_rate(model.backend(table.backend), point.mask,
                                                  point.mean_keys(), table.head_dim);
      errors.attention.push_back({"",
                                  fmt::format("{}, {} rows, {} keys, head_dim {}", table.backend,
                                              point.q_len, point.kv_len, table.head_dim),
                                  point.rate / predicted.rate - 1});
    }
  }
  for (const CollectiveTable& table : held.collectives) {
    const Placement placement{table.num_ranks, table.num_ranks / table.num_nodes, 1};
    for (const CollectivePoint& point : table.points) {
      const Duration predicted = model.collective_time(table.kind, placement, point.size);
      errors.collective.push_back(
          {std::string(to_string(table.kind)),
           fmt::format("{} of {:.0f} bytes, {} ranks", to_string(table.kind), point.size.number,
                       table.num_ranks),
           predicted.time / point.time - 1});
    }
  }
  return errors;
}

}  // namespace apb::sim
