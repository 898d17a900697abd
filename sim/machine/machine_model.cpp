#include "sim/machine/machine_model.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "reference/core/error.hpp"

namespace apb::sim {

void MachineModel::Curve::finish() {
  std::sort(points.begin(), points.end(),
            [](const Point& a, const Point& b) { return a.at < b.at; });
  std::vector<Point> merged;
  std::size_t begin = 0;
  while (begin < points.size()) {
    std::size_t end = begin;
    double sum = 0;
    while (end < points.size() && points[end].at == points[begin].at) sum += points[end++].rate;
    merged.push_back({points[begin].at, sum / static_cast<double>(end - begin)});
    begin = end;
  }
  points = std::move(merged);
}

Rate MachineModel::Curve::at(double where) const {
  // Rates change slowly: a tenth beyond the outermost point is as good as between two.
  constexpr double kEdge = 1.1;
  const auto held = [&](const Point& edge, bool near) {
    return Rate{FlopPerSecond(edge.rate),
                near ? worse(provenance, Provenance::kInterpolated) : Provenance::kExtrapolated};
  };
  if (where < points.front().at) return held(points.front(), where * kEdge >= points.front().at);
  if (where > points.back().at) return held(points.back(), where <= kEdge * points.back().at);
  const auto above = std::lower_bound(points.begin(), points.end(), where,
                                      [](const Point& point, double at) { return point.at < at; });
  if (above->at == where) return {FlopPerSecond(above->rate), provenance};
  const Point& below = *(above - 1);
  const double part = (where - below.at) / (above->at - below.at);
  return {FlopPerSecond(below.rate + part * (above->rate - below.rate)),
          worse(provenance, Provenance::kInterpolated)};
}

MachineModel::MachineModel(MachineProfile profile) : profile_(std::move(profile)) {
  for (const GemmTable& table : profile_.gemm) {
    for (const GemmPoint& point : table.points) {
      auto found = std::find_if(gemm_.begin(), gemm_.end(), [&](const GemmCurve& known) {
        return known.n == point.n && known.k == point.k;
      });
      if (found == gemm_.end()) {
        found = gemm_.insert(gemm_.end(), {point.n, point.k, {{}, table.provenance}});
      }
      found->curve.points.push_back({static_cast<double>(point.m), point.rate.number});
      found->curve.provenance = worse(found->curve.provenance, table.provenance);
    }
  }
  for (GemmCurve& known : gemm_) known.curve.finish();
  for (const AttentionTable& table : profile_.attention) {
    AttentionCurves curves{table.backend, table.head_dim, {}};
    for (Curve& curve : curves.by_mask) curve.provenance = table.provenance;
    for (const AttentionPoint& point : table.points) {
      curves.by_mask.at(static_cast<std::size_t>(point.mask))
          .points.push_back({point.mean_keys(), point.rate.number});
    }
    for (Curve& curve : curves.by_mask) curve.finish();
    attention_.push_back(std::move(curves));
    if (std::find(backends_.begin(), backends_.end(), table.backend) == backends_.end()) {
      backends_.push_back(table.backend);
    }
  }
}

std::size_t MachineModel::backend(const std::string& name) const {
  if (name.empty()) return 0;
  const auto found = std::find(backends_.begin(), backends_.end(), name);
  if (found != backends_.end()) return static_cast<std::size_t>(found - backends_.begin());
  std::string known;
  for (const std::string& one : backends_) known += (known.empty() ? "" : ", ") + one;
  throw BadInput(
      profile_.name, "attention backend", name,
      known.empty() ? "left out: this machine has no attention table" : "one of " + known);
}

const AttentionTable* MachineModel::backend_table(std::size_t backend) const {
  for (const AttentionTable& table : profile_.attention) {
    if (backend < backends_.size() && table.backend == backends_[backend]) return &table;
  }
  return nullptr;
}

Rate MachineModel::gemm_rate(Index m, Index n, Index k) const {
  const auto rows = static_cast<double>(m);
  const GemmCurve* nearest = nullptr;
  const GemmCurve* second = nullptr;
  double nearest_distance = 0;
  double second_distance = 0;
  for (const GemmCurve& known : gemm_) {
    if (known.n == n && known.k == k) return known.curve.at(rows);
    // Shapes are near if their numbers of columns and of summands are.
    const double distance =
        std::abs(std::log(static_cast<double>(n) / static_cast<double>(known.n))) +
        std::abs(std::log(static_cast<double>(k) / static_cast<double>(known.k)));
    if (nearest == nullptr || distance < nearest_distance) {
      second = std::exchange(nearest, &known);
      second_distance = std::exchange(nearest_distance, distance);
    } else if (second == nullptr || distance < second_distance) {
      second = &known;
      second_distance = distance;
    }
  }
  if (nearest == nullptr) {
    return {FlopPerSecond(profile_.gemm_efficiency.number * profile_.peak_flop_per_s.number),
            profile_.gemm_efficiency.provenance};
  }
  Rate rate = nearest->curve.at(rows);
  if (second != nullptr) {
    const Rate other = second->curve.at(rows);
    const double weight = second_distance / (nearest_distance + second_distance);
    rate = {weight * rate.rate + (1 - weight) * other.rate,
            worse(rate.provenance, other.provenance)};
  }
  return {rate.rate, worse(rate.provenance, Provenance::kInterpolated)};
}

Rate MachineModel::attention_rate(std::size_t backend, MaskKind mask, double mean_keys,
                                  Index head_dim) const {
  const AttentionCurves* best = nullptr;
  for (const AttentionCurves& curves : attention_) {
    if (curves.backend != backends_[backend]) continue;
    if (best == nullptr ||
        std::abs(curves.head_dim - head_dim) < std::abs(best->head_dim - head_dim)) {
      best = &curves;
    }
  }
  if (best == nullptr) {
    return {FlopPerSecond(profile_.attention_efficiency.number * profile_.peak_flop_per_s.number),
            profile_.attention_efficiency.provenance};
  }
  const auto wanted = static_cast<std::size_t>(mask);
  const bool other_mask = best->by_mask.at(wanted).points.empty();
  Rate rate = best->by_mask.at(other_mask ? 1 - wanted : wanted).at(mean_keys);
  if (other_mask || best->head_dim != head_dim) rate.provenance = Provenance::kExtrapolated;
  return rate;
}

}  // namespace apb::sim
