// The audit's checks of tables that stand twice: in the file itself, as another machine's, as an
// all-reduce's.

#include <algorithm>
#include <cmath>

#include "sim/machine/audit_report.hpp"

namespace apb::sim {
namespace {

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

/// What a table is about; products of all shapes may share one.
bool same_subject(const GemmTable& a, const GemmTable& b) {
  return same_rows(a, b);
}

bool same_subject(const AttentionTable& a, const AttentionTable& b) {
  return a.backend == b.backend && a.head_dim == b.head_dim;
}

bool same_subject(const CollectiveTable& a, const CollectiveTable& b) {
  return a.kind == b.kind && a.num_ranks == b.num_ranks && a.num_nodes == b.num_nodes;
}

/// Two tables about the same: only one can be meant. A row that stands twice counts twice.
template <class Table>
void audit_doubles(const std::vector<Table>& tables, std::string_view family, AuditReport& report) {
  for (std::size_t i = 0; i < tables.size(); ++i) {
    for (std::size_t before = 0; before < i; ++before) {
      if (!same_subject(tables[i], tables[before])) continue;
      report.error(table_key(family, i), "about the same as " + table_key(family, before));
      break;
    }
    const auto& points = tables[i].points;
    for (std::size_t row = 0; row < points.size(); ++row) {
      for (std::size_t before = 0; before < row; ++before) {
        if (!same(points[row], points[before])) continue;
        report.warning(fmt::format("{}.rows[{}]", table_key(family, i), row),
                       fmt::format("the same as rows[{}]: it counts twice", before));
        break;
      }
    }
  }
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

}  // namespace

void audit_copied_tables(const MachineProfile& profile, std::span<const MachineProfile> others,
                         AuditReport& report) {
  audit_doubles(profile.gemm, "gemm", report);
  audit_doubles(profile.attention, "attention", report);
  audit_doubles(profile.collectives, "collectives", report);
  for (const MachineProfile& other : others) {
    if (same_hardware(profile, other)) continue;
    audit_copies(profile.gemm, "gemm", other.gemm, other.name, report);
    audit_copies(profile.attention, "attention", other.attention, other.name, report);
    audit_copies(profile.collectives, "collectives", other.collectives, other.name, report);
  }
  audit_all_reduce_copies(profile.collectives, report);
}

}  // namespace apb::sim
