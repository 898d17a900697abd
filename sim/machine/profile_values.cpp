#include "sim/machine/profile_values.hpp"

#include <fmt/format.h>

#include <cmath>
#include <string>

namespace apb::sim {
namespace {

using Machine = MachineProfile;

constexpr std::array kMachineValues{
    ValueEntry<Machine>{"peak", kTeraFlopPerSecond, Allowed::kPositive, &Machine::peak_flop_per_s},
    ValueEntry<Machine>{"memory_bandwidth", kGigaBytesPerSecond, Allowed::kPositive,
                        &Machine::memory_bytes_per_s},
    ValueEntry<Machine>{"memory", kGigaBytes, Allowed::kPositive, &Machine::memory_bytes},
    ValueEntry<Machine>{"reserved", kGigaBytes, Allowed::kZeroOrMore, &Machine::reserved_bytes},
    ValueEntry<Machine>{"gpus_per_node", kNoUnit, Allowed::kCount, &Machine::gpus_per_node},
    ValueEntry<Machine>{"link_bandwidth", kGigaBytesPerSecond, Allowed::kPositive,
                        &Machine::link_bytes_per_s},
    ValueEntry<Machine>{"nics_per_node", kNoUnit, Allowed::kCountOrZero, &Machine::nics_per_node},
    ValueEntry<Machine>{"nic_bandwidth", kGigaBytesPerSecond, Allowed::kPositive,
                        &Machine::nic_bytes_per_s},
    ValueEntry<Machine>{"gemm_efficiency", kNoUnit, Allowed::kPositive, &Machine::gemm_efficiency},
    ValueEntry<Machine>{"attention_efficiency", kNoUnit, Allowed::kPositive,
                        &Machine::attention_efficiency},
    ValueEntry<Machine>{"sparse_efficiency", kNoUnit, Allowed::kPositive,
                        &Machine::sparse_efficiency},
    ValueEntry<Machine>{"streaming_efficiency", kNoUnit, Allowed::kPositive,
                        &Machine::streaming_efficiency},
    ValueEntry<Machine>{"link_efficiency", kNoUnit, Allowed::kPositive, &Machine::link_efficiency},
    ValueEntry<Machine>{"nic_efficiency", kNoUnit, Allowed::kPositive, &Machine::nic_efficiency},
    ValueEntry<Machine>{"collective_latency", kMicroseconds, Allowed::kZeroOrMore,
                        &Machine::collective_latency_s},
    ValueEntry<Machine>{"node_latency", kMicroseconds, Allowed::kZeroOrMore,
                        &Machine::node_latency_s},
};

constexpr std::array kLaunchValues{
    ValueEntry<LaunchCost>{"dispatch", kMicroseconds, Allowed::kZeroOrMore,
                           &LaunchCost::dispatch_s},
    ValueEntry<LaunchCost>{"gap", kMicroseconds, Allowed::kZeroOrMore, &LaunchCost::gap_s},
    ValueEntry<LaunchCost>{"collective", kMicroseconds, Allowed::kZeroOrMore,
                           &LaunchCost::collective_s},
};

constexpr std::array kSpreadValues{
    ValueEntry<Spread>{"gemm", kNoUnit, Allowed::kZeroOrMore, &Spread::gemm},
    ValueEntry<Spread>{"attention", kNoUnit, Allowed::kZeroOrMore, &Spread::attention},
    ValueEntry<Spread>{"streaming", kNoUnit, Allowed::kZeroOrMore, &Spread::streaming},
    ValueEntry<Spread>{"collective", kNoUnit, Allowed::kZeroOrMore, &Spread::collective},
    ValueEntry<Spread>{"host", kNoUnit, Allowed::kZeroOrMore, &Spread::host},
    ValueEntry<Spread>{"session", kNoUnit, Allowed::kZeroOrMore, &Spread::session},
    ValueEntry<Spread>{"extrapolated", kNoUnit, Allowed::kZeroOrMore, &Spread::extrapolated},
};

}  // namespace

std::span<const ValueEntry<MachineProfile>> machine_values() {
  return kMachineValues;
}

std::span<const ValueEntry<LaunchCost>> launch_values() {
  return kLaunchValues;
}

std::span<const ValueEntry<Spread>> spread_values() {
  return kSpreadValues;
}

double in_file_unit(double number, const FileUnit& unit) {
  const double quotient = number / unit.factor;
  // Multiplying back rounds again: a neighbour of the quotient may be what the file held.
  for (int digits = 1; digits <= 17; ++digits) {
    const double rounded = std::stod(fmt::format("{:.{}e}", quotient, digits - 1));
    if (rounded * unit.factor == number) return rounded;
  }
  for (const double towards : {-HUGE_VAL, HUGE_VAL}) {
    const double neighbour = std::nextafter(quotient, towards);
    if (neighbour * unit.factor == number) return neighbour;
  }
  return quotient;
}

}  // namespace apb::sim
