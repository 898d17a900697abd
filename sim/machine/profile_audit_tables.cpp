// The audit's checks of measured tables.

#include <algorithm>
#include <cmath>

#include "sim/machine/audit_report.hpp"
#include "sim/machine/profile_values.hpp"

namespace apb::sim {
namespace {

/// Clocks and counters of a benchmark are not exact: what lies above a limit by less is no error.
constexpr double kClockTolerance = 1.02;
/// How much less a larger message may take, both: repeated runs of nccl-tests differ by it.
constexpr double kNoise = 0.05;
constexpr double kNoiseSeconds = 3e-6;
/// A slip of 1,000, and not merely a bad kernel.
constexpr double kSlip = 300;
/// Messages that keep a link busy.
constexpr double kLongMessage = 16e6;

std::string what(const GemmPoint& point) {
  return fmt::format("[{}, {}] x [{}, {}]", point.m, point.k, point.k, point.n);
}

std::string what(const AttentionPoint& point) {
  return fmt::format("{} rows, {} keys", point.q_len, point.kv_len);
}

template <class Point>
void audit_rates(const std::vector<Point>& points, const std::string& table, double peak,
                 AuditReport& report) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double part = points[i].rate.number / peak;
    const std::string key = fmt::format("{}.rows[{}]", table, i);
    if (part > kClockTolerance) {
      report.error(key, fmt::format("{}: {:.0f} TFLOP/s is {:.2f} of the peak", what(points[i]),
                                    points[i].rate.number / 1e12, part));
    } else if (part < 1 / kSlip) {
      report.error(key, fmt::format("{}: {:g} TFLOP/s is {:.5f} of the peak; another unit?",
                                    what(points[i]), points[i].rate.number / 1e12, part));
    }
  }
}

/// Bytes that must enter a GPU, as a part of the collective's size. An all-reduce summed inside the
/// switch (NVLS) sends each GPU the result once, where a ring needs nearly twice that.
double entering(CollectiveKind kind, double participants) {
  const bool all = kind == CollectiveKind::kAllReduce || kind == CollectiveKind::kSendReceive;
  return all ? 1 : (participants - 1) / participants;
}

void audit_bandwidth(const CollectiveTable& table, const std::string& name,
                     const MachineProfile& profile, AuditReport& report) {
  const auto ranks = static_cast<double>(table.num_ranks);
  const auto nodes = static_cast<double>(table.num_nodes);
  const double nics = profile.nics_per_node.number * profile.nic_bytes_per_s.number;
  for (std::size_t i = 0; i < table.points.size(); ++i) {
    const auto& [size, time] = table.points[i];
    const std::string key = fmt::format("{}.rows[{}]", name, i);
    const double rate = entering(table.kind, ranks) * size.number / time.number;
    const double link = profile.link_bytes_per_s.number;
    if (rate > kClockTolerance * link) {
      report.error(key,
                   fmt::format("{:.0f} bytes: {:.0f} GB/s into a GPU, whose link has {:.0f} in one "
                               "direction",
                               size.number, rate / 1e9, link / 1e9));
    } else if (size.number >= kLongMessage && rate < link / kSlip) {
      report.error(
          key,
          fmt::format("{:.0f} bytes: {:.3f} GB/s into a GPU, whose link has {:.0f}; another unit?",
                      size.number, rate / 1e9, link / 1e9));
    }
    if (table.num_nodes == 1 || table.kind == CollectiveKind::kSendReceive) continue;
    const double each = table.kind == CollectiveKind::kAllToAll ? ranks / nodes : 1;
    const double node_rate = each * entering(table.kind, nodes) * size.number / time.number;
    if (node_rate > kClockTolerance * nics) {
      report.error(key, fmt::format("{:.0f} bytes: {:.0f} GB/s into a node, whose NICs have {:.0f}",
                                    size.number, node_rate / 1e9, nics / 1e9));
    }
  }
}

void audit_monotone(const CollectiveTable& table, const std::string& name, AuditReport& report) {
  for (std::size_t i = 1; i < table.points.size(); ++i) {
    const double before = table.points[i - 1].time.number;
    const double now = table.points[i].time.number;
    if (now >= before) continue;
    const std::string text =
        fmt::format("{:g} bytes take {:g} us, fewer ({:g}) take {:g}", table.points[i].size.number,
                    now * 1e6, table.points[i - 1].size.number, before * 1e6);
    const std::string key = fmt::format("{}.rows[{}]", name, i);
    if (now < (1 - kNoise) * before && now < before - kNoiseSeconds) {
      report.error(key, text);
    } else {
      report.warning(key, text);
    }
  }
}

void audit_missing(const MachineProfile& profile, AuditReport& report) {
  const auto peak_part = [&](const SourcedValue& efficiency) {
    return fmt::format("{:g} of the peak stands in", efficiency.number);
  };
  if (profile.gemm.empty()) {
    report.warning("tables.gemm", "no table: " + peak_part(profile.gemm_efficiency));
  }
  if (profile.attention.empty()) {
    report.warning("tables.attention", "no table: " + peak_part(profile.attention_efficiency));
  }
  std::string missing;
  for (std::size_t i = 0; i < kCollectiveNames.size(); ++i) {
    const bool found = std::ranges::any_of(profile.collectives, [&](const CollectiveTable& table) {
      return table.kind == static_cast<CollectiveKind>(i) && table.num_nodes == 1;
    });
    if (!found) missing += (missing.empty() ? "" : ", ") + std::string(kCollectiveNames.at(i));
  }
  if (!missing.empty()) {
    report.warning("tables.collectives",
                   fmt::format("no table inside a node for {}: {:g} us and {:g} of the link's "
                               "bandwidth stand in",
                               missing, profile.collective_latency_s.number * 1e6,
                               profile.link_efficiency.number));
  }
}

}  // namespace

void audit_tables(const MachineProfile& profile, AuditReport& report) {
  const double peak = profile.peak_flop_per_s.number;
  for (std::size_t i = 0; i < profile.gemm.size(); ++i) {
    audit_rates(profile.gemm[i].points, table_key("gemm", i), peak, report);
  }
  for (std::size_t i = 0; i < profile.attention.size(); ++i) {
    audit_rates(profile.attention[i].points, table_key("attention", i), peak, report);
  }
  for (std::size_t i = 0; i < profile.collectives.size(); ++i) {
    audit_bandwidth(profile.collectives[i], table_key("collectives", i), profile, report);
    audit_monotone(profile.collectives[i], table_key("collectives", i), report);
  }
  audit_missing(profile, report);
}

}  // namespace apb::sim
