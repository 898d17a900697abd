#include "sim/machine/profile_audit.hpp"

#include <cmath>

#include "reference/core/error.hpp"
#include "sim/machine/audit_report.hpp"
#include "sim/machine/known_gpus.hpp"
#include "sim/machine/profile_file.hpp"
#include "sim/machine/profile_values.hpp"

namespace apb::sim {
namespace {

constexpr double kGibibyte = 1024.0 * 1024 * 1024;

/// Equal up to what rounding in datasheets explains.
bool near(double value, double figure, double tolerance) {
  return std::abs(value / figure - 1) <= tolerance;
}

/// What no machine of these years lies outside of, by a factor of several; a slip of 1,000 does.
struct Plausible {
  std::string_view name;
  double least;
  double most;
};
constexpr std::array kPlausible{
    Plausible{"peak", 10, 20000},               // TFLOP/s: a small card, the next generation
    Plausible{"memory_bandwidth", 100, 50000},  // GB/s: DDR5, HBM4
    Plausible{"memory", 4, 2000},               // GB
    Plausible{"reserved", 0, 50},               // GB
    Plausible{"gpus_per_node", 1, 256},         // a rack that is one NVLink domain
    Plausible{"link_bandwidth", 4, 4000},       // GB/s: PCIe 3 x4, NVLink 6
    Plausible{"nics_per_node", 0, 64},
    Plausible{"nic_bandwidth", 0.1, 400},       // GB/s: 1 and 3,200 Gbit/s
    Plausible{"collective_latency", 0.5, 500},  // us
    Plausible{"node_latency", 0.5, 1000},       // us
};

void audit_ranges(const MachineProfile& profile, AuditReport& report) {
  for (const auto& entry : machine_values()) {
    const double value = (profile.*entry.place).number / entry.unit.factor;
    const std::string key = fmt::format("values.{}", entry.name);
    if (entry.name.ends_with("_efficiency")) {
      if (value > 1) report.error(key, fmt::format("{:g}: more than all of it", value));
      if (value < 1e-3) report.error(key, fmt::format("{:g}: less than a thousandth", value));
    }
    for (const Plausible& range : kPlausible) {
      if (range.name == entry.name && (value < range.least || value > range.most)) {
        report.error(key, fmt::format("{:g} {}: no machine has that ({:g} to {:g}); another unit?",
                                      value, entry.unit.name, range.least, range.most));
      }
    }
  }
}

void audit_times(const LaunchCost& launch, std::string_view name, AuditReport& report) {
  constexpr double kLongest = 1000;  // us: a framework's slowest launch is a tenth of it
  for (const auto& entry : launch_values()) {
    const double value = (launch.*entry.place).number / entry.unit.factor;
    if (value > kLongest) {
      report.error(fmt::format("launch.{}.{}", name, entry.name),
                   fmt::format("{:g} us for one launch; another unit?", value));
    }
  }
}

void audit_spread(const Spread& spread, AuditReport& report) {
  for (const auto& entry : spread_values()) {
    const double value = (spread.*entry.place).number;
    if (value > 1) {
      report.error(
          fmt::format("spread.{}", entry.name),
          fmt::format("{:g}: relative, so {:g} % is written {:g}", value, value, value / 100));
    }
  }
}

const KnownGpu* known_gpu(const MachineProfile& profile) {
  for (const KnownGpu& gpu : kKnownGpus) {
    if (profile.name.find(gpu.name) != std::string::npos ||
        profile.title.find(gpu.name) != std::string::npos) {
      return &gpu;
    }
  }
  return nullptr;
}

void audit_known_gpu(const MachineProfile& profile, const KnownGpu& gpu, AuditReport& report) {
  const double peak = profile.peak_flop_per_s.number / kTeraFlopPerSecond.factor;
  const double link = profile.link_bytes_per_s.number / kGigaBytesPerSecond.factor;
  const double memory = profile.memory_bytes.number;
  if (near(peak, 2 * gpu.dense_teraflop, 0.03)) {
    report.error("values.peak", fmt::format("{:g} TFLOP/s is the {}'s sparse figure; dense is {:g}",
                                            peak, gpu.name, gpu.dense_teraflop));
  }
  if (near(link, 2 * gpu.link_gigabytes, 0.03)) {
    report.error("values.link_bandwidth",
                 fmt::format("{:g} GB/s counts both directions of the {}'s links; one has {:g}",
                             link, gpu.name, gpu.link_gigabytes));
  }
  if (memory > 1.002 * gpu.memory_gib * kGibibyte) {
    report.error("values.memory",
                 fmt::format("{:g} GB is more than the {}'s {:g} GiB ({:.1f} GB)", memory / 1e9,
                             gpu.name, gpu.memory_gib, gpu.memory_gib * kGibibyte / 1e9));
  } else if (near(memory, gpu.memory_gib * 1e9, 0.001)) {
    report.warning("values.memory",
                   fmt::format("{:g} GB: are these the {}'s {:g} GiB ({:.1f} GB)?", memory / 1e9,
                               gpu.name, gpu.memory_gib, gpu.memory_gib * kGibibyte / 1e9));
  }
}

/// A card of unknown name whose peak is the sparse one of a known card, to the digit.
void audit_unknown_gpu(const MachineProfile& profile, AuditReport& report) {
  const double peak = profile.peak_flop_per_s.number / kTeraFlopPerSecond.factor;
  for (const KnownGpu& gpu : kKnownGpus) {
    if (!near(peak, 2 * gpu.dense_teraflop, 0.001)) continue;
    report.warning(
        "values.peak",
        fmt::format("{:g} TFLOP/s is the {}'s sparse figure: is it dense?", peak, gpu.name));
    return;
  }
}

}  // namespace

std::string Finding::line() const {
  return fmt::format("{}: {}: {}", file, key, text);
}

std::vector<Finding> audit_profile(const MachineProfile& profile, const std::string& file,
                                   std::span<const MachineProfile> others) {
  AuditReport report(file);
  audit_ranges(profile, report);
  audit_times(profile.eager, "eager", report);
  audit_times(profile.captured, "captured", report);
  audit_spread(profile.spread, report);
  if (const KnownGpu* gpu = known_gpu(profile); gpu != nullptr) {
    audit_known_gpu(profile, *gpu, report);
  } else {
    audit_unknown_gpu(profile, report);
  }
  audit_tables(profile, report);
  audit_copied_tables(profile, others, report);
  return report.take();
}

AuditedMachine audited_machine(const std::string& name_or_path) {
  const std::string path = machine_path(name_or_path);
  AuditedMachine machine{read_machine_profile(path), {}};
  std::vector<MachineProfile> others;
  for (const std::string& name : known_machines()) {
    if (machine_path(name) != path) others.push_back(find_machine(name));
  }
  const Finding* first = nullptr;
  int more = -1;
  const std::vector<Finding> findings = audit_profile(machine.profile, path, others);
  for (const Finding& finding : findings) {
    if (finding.severity == Severity::kWarning) {
      machine.warnings.push_back(finding);
      continue;
    }
    if (first == nullptr) first = &finding;
    ++more;
  }
  if (first != nullptr) {
    throw BadInput(first->line() + (more > 0 ? fmt::format(" (and {} more)", more) : ""));
  }
  return machine;
}

}  // namespace apb::sim
