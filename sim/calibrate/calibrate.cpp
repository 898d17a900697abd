#include "sim/calibrate/calibrate.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "reference/core/error.hpp"
#include "sim/calibrate/held_out.hpp"

namespace apb::sim {
namespace {

/// Timers and clocks: a spread below it is luck.
constexpr double kLeastSpread = 0.005;

/// Digits that a timing has: 1 in 100,000.
double five_digits(double value) {
  return std::stod(fmt::format("{:.4e}", value));
}

FlopPerSecond five_digits(FlopPerSecond rate) {
  return FlopPerSecond(five_digits(rate.number / 1e12) * 1e12);
}

/// In order of size; what was measured several times counts as its mean.
std::vector<CollectivePoint> in_order(std::vector<CollectivePoint> points) {
  std::ranges::sort(points, {}, &CollectivePoint::size);
  std::vector<CollectivePoint> merged;
  for (auto begin = points.begin(); begin != points.end();) {
    const auto end = std::find_if(begin, points.end(),
                                  [&](const auto& point) { return point.size != begin->size; });
    double sum = 0;
    for (auto point = begin; point != end; ++point) sum += point->time.number;
    const double mean_us = 1e6 * sum / static_cast<double>(end - begin);
    merged.push_back({begin->size, Seconds(five_digits(mean_us) * 1e-6)});
    begin = end;
  }
  return merged;
}

void merge_gemm(MachineProfile& profile, const std::vector<GemmPoint>& measured,
                const std::string& source) {
  if (measured.empty()) return;
  for (GemmTable& table : profile.gemm) {
    std::erase_if(table.points, [&](const GemmPoint& known) {
      return std::ranges::any_of(measured, [&](const GemmPoint& point) {
        return point.n == known.n && point.k == known.k;
      });
    });
  }
  std::erase_if(profile.gemm, [](const GemmTable& table) { return table.points.empty(); });
  GemmTable table{Provenance::kMeasured, source, measured};
  for (GemmPoint& point : table.points) point.rate = five_digits(point.rate);
  profile.gemm.insert(profile.gemm.begin(), std::move(table));
}

void merge_attention(MachineProfile& profile, const std::vector<AttentionTable>& measured,
                     const std::string& source) {
  std::vector<AttentionTable> tables = measured;
  for (AttentionTable& table : tables) {
    table.provenance = Provenance::kMeasured;
    table.source = source;
    for (AttentionPoint& point : table.points) point.rate = five_digits(point.rate);
    // How a library runs segments is no matter of timing.
    const auto known =
        std::ranges::find(profile.attention, table.backend, &AttentionTable::backend);
    if (known != profile.attention.end()) {
      table.fused_segments = known->fused_segments;
      table.copies_segments = known->copies_segments;
      table.ring_merges = known->ring_merges;
    }
  }
  for (const AttentionTable& known : profile.attention) {
    const bool replaced = std::ranges::any_of(measured, [&](const AttentionTable& table) {
      return table.backend == known.backend && table.head_dim == known.head_dim;
    });
    if (!replaced) tables.push_back(known);
  }
  profile.attention = std::move(tables);
}

void merge_collectives(MachineProfile& profile, const std::vector<CollectiveTable>& measured,
                       const std::string& source) {
  std::vector<CollectiveTable> tables = measured;
  for (CollectiveTable& table : tables) {
    table.provenance = Provenance::kMeasured;
    table.source = source;
    table.points = in_order(std::move(table.points));
  }
  for (const CollectiveTable& known : profile.collectives) {
    const bool replaced = std::ranges::any_of(measured, [&](const CollectiveTable& table) {
      return table.kind == known.kind && table.num_ranks == known.num_ranks &&
             table.num_nodes == known.num_nodes;
    });
    if (!replaced) tables.push_back(known);
  }
  profile.collectives = std::move(tables);
}

FamilyFit fit_of(const std::string& family, std::size_t points,
                 const std::vector<HeldOut>& errors) {
  FamilyFit fit{family, points, errors.size(), 0, 0, 0, ""};
  if (errors.empty()) return fit;
  std::vector<double> sizes;
  for (const HeldOut& held : errors) {
    sizes.push_back(std::abs(held.error));
    fit.mean += sizes.back() / static_cast<double>(errors.size());
    if (fit.worst_point.empty() || sizes.back() > std::abs(fit.worst)) {
      fit.worst = held.error;
      fit.worst_point = held.point;
    }
  }
  std::ranges::sort(sizes);
  const double rank = std::ceil(0.95 * static_cast<double>(sizes.size()));
  fit.p95 = sizes.at(static_cast<std::size_t>(rank) - 1);
  return fit;
}

/// Root mean square of the errors, where there are enough.
void set_spread(SourcedValue& spread, const std::vector<HeldOut>& errors,
                const std::string& source) {
  if (errors.size() < kFewestHeldOut) return;
  double squares = 0;
  for (const HeldOut& held : errors) squares += held.error * held.error;
  const double deviation = std::sqrt(squares / static_cast<double>(errors.size()));
  const double rounded = std::round(1e4 * deviation) / 1e4;
  spread = {std::max(kLeastSpread, rounded), Provenance::kMeasured, source};
}

/// A source's name that the profile does not have: "calibrated", "calibrated-2", ...
std::string new_source(const MachineProfile& profile) {
  std::string name = "calibrated";
  for (int i = 2; profile.sources.contains(name); ++i) name = fmt::format("calibrated-{}", i);
  return name;
}

template <class Tables>
std::size_t num_points(const Tables& tables) {
  std::size_t sum = 0;
  for (const auto& table : tables) sum += table.points.size();
  return sum;
}

}  // namespace

MachineProfile merged(const MachineProfile& base, const Measurements& measured,
                      const std::string& source) {
  MachineProfile profile = base;
  merge_gemm(profile, measured.gemm, source);
  merge_attention(profile, measured.attention, source);
  merge_collectives(profile, measured.collectives, source);
  return profile;
}

CalibrationResult calibrate(const MachineProfile& base, const Measurements& measured,
                            const std::string& name, const std::string& note, Share share) {
  if (measured.size() == 0) throw BadInput("calibration: no measurement given");
  const Measurements used = share == Share::kAll ? measured : kept_half(measured);
  const std::string source = new_source(base);
  CalibrationResult result{merged(base, used, source), {}};
  result.profile.name = name;
  result.profile.sources[source] = note;

  const HeldOutErrors errors = hold_out(base, measured);
  const auto add = [&](const char* family, std::size_t points, const std::vector<HeldOut>& held,
                       SourcedValue& spread) {
    if (points == 0) return;
    result.fits.push_back(fit_of(family, points, held));
    set_spread(spread, held, source);
  };
  add("gemm", used.gemm.size(), errors.gemm, result.profile.spread.gemm);
  add("attention", num_points(used.attention), errors.attention, result.profile.spread.attention);
  add("collective", num_points(used.collectives), errors.collective,
      result.profile.spread.collective);
  for (const std::string_view kind : kCollectiveNames) {
    std::vector<HeldOut> of_kind;
    std::ranges::copy_if(errors.collective, std::back_inserter(of_kind),
                         [&](const HeldOut& held) { return held.kind == kind; });
    std::size_t points = 0;
    for (const CollectiveTable& table : used.collectives) {
      if (to_string(table.kind) == kind) points += table.points.size();
    }
    if (!of_kind.empty() && of_kind.size() < errors.collective.size()) {
      result.fits.push_back(fit_of(fmt::format("  {}", kind), points, of_kind));
    }
  }
  return result;
}

}  // namespace apb::sim
