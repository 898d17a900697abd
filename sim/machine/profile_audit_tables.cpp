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

template <class Point>
void audit_rates(const std::vector<Point>& points, const std::string& table, double peak,
                 AuditReport& report) {
  for (std::size_t i = 0; i < points.size(); ++i) {
    const double part = points[i].rate.number / peak;
    const std::string key = fmt::format("{}.rows[{}]", table, i);
    if (part > kClockTolerance) {
      report.error(key, fmt::format("{:.0f} TFLOP/s is {:.2f} of the peak",
                                    points[i].rate.number / 1e12, part));
    } else if (part < 1 / kSlip) {
      report.error(key, fmt::format("{:g} TFLOP/s is {:.5f} of the peak; another unit?",
                                    points[i].rate.number / 1e12, part));
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
                   fmt::format("{:.0f} GB/s into a GPU, whose link has {:.0f} in one direction",
                               rate / 1e9, link / 1e9));
    } else if (size.number >= kLongMessage && rate < link / kSlip) {
      report.error(key, fmt::format("{:.3f} GB/s into a GPU, whose link has {:.0f}; another unit?",
                                    rate / 1e9, link / 1e9));
    }
    if (table.num_nodes == 1 || table.kind == CollectiveKind::kSendReceive) continue;
    const double each = table.kind == CollectiveKind::kAllToAll ? ranks / nodes : 1;
    const double node_rate = each * entering(table.kind, nodes) * size.number / time.number;
    if (node_rate > kClockTolerance * nics) {
      report.error(key, fmt::format("{:.0f} GB/s into a node, whose NICs have {:.0f}",
                                    node_rate / 1e9, nics / 1e9));
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

bool same(const GemmPoint& a, const GemmPoint& b) {
  return a.m == b.m && a.n == b.n && a.k == b.k && a.rate == b.rate;
}

bool same(const AttentionPoint& a, const AttentionPoint& b) {
  return a.mask == b.mask && a.q_len == b.q_len && a.kv_len == b.kv_len &&
         a.num_q_heads == b.num_q_heads && a.rate == b.rate;
}

bool same(const CollectivePoint& a, const CollectivePoint& b) {
  return a.size == b.size && a.time == b.time;
}

template <class Table>
bool same_rows(const Table& a, const Table& b) {
  return std::ranges::equal(a.points, b.points,
                            [](const auto& x, const auto& y) { return same(x, y); });
}

/// GPUs and links alike: one may well be described by the other's tables.
bool same_hardware(const MachineProfile& a, const MachineProfile& b) {
  return a.peak_flop_per_s.number == b.peak_flop_per_s.number &&
         a.memory_bytes_per_s.number == b.memory_bytes_per_s.number &&
         a.link_bytes_per_s.number == b.link_bytes_per_s.number;
}

template <class Table>
void audit_copies(const std::vector<Table>& tables, std::string_view family,
                  const std::vector<Table>& foreign, const std::string& machine,
                  AuditReport& report) {
  for (std::size_t i = 0; i < tables.size(); ++i) {
    for (const Table& other : foreign) {
      if (!same_rows(tables[i], other)) continue;
      report.error(table_key(family, i),
                   fmt::format("the same rows as {}'s, to the digit: a copy of another machine's "
                               "measurements?",
                               machine));
      break;
    }
  }
}

/// An all-reduce's figures under another name: its times, or its bus bandwidth (which nccl-tests
/// multiplies by 2 (n - 1) / n, so that the other collective would take half the time).
bool from_all_reduce(const CollectiveTable& table, const CollectiveTable& reduce) {
  if (table.num_ranks != reduce.num_ranks || table.num_nodes != reduce.num_nodes) return false;
  const auto by_ratio = [&](double ratio) {
    return std::ranges::equal(table.points, reduce.points, [&](const auto& a, const auto& b) {
      return a.size == b.size && std::abs(a.time / b.time - ratio) <= 1e-3 * ratio;
    });
  };
  return by_ratio(1) || (table.points.size() > 1 && by_ratio(0.5));
}

void audit_all_reduce_copies(const std::vector<CollectiveTable>& tables, AuditReport& report) {
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if (tables[i].kind == CollectiveKind::kAllReduce) continue;
    for (std::size_t r = 0; r < tables.size(); ++r) {
      if (tables[r].kind != CollectiveKind::kAllReduce || !from_all_reduce(tables[i], tables[r])) {
        continue;
      }
      report.error(table_key("collectives", i),
                   fmt::format("figures of the all_reduce in {} under the name of {}",
                               table_key("collectives", r), to_string(tables[i].kind)));
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

void audit_tables(const MachineProfile& profile, std::span<const MachineProfile> others,
                  AuditReport& report) {
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
  for (const MachineProfile& other : others) {
    if (same_hardware(profile, other)) continue;
    audit_copies(profile.gemm, "gemm", other.gemm, other.name, report);
    audit_copies(profile.attention, "attention", other.attention, other.name, report);
    audit_copies(profile.collectives, "collectives", other.collectives, other.name, report);
  }
  audit_all_reduce_copies(profile.collectives, report);
  audit_missing(profile, report);
}

}  // namespace apb::sim
