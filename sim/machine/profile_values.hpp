#pragma once
/// \file
/// Every single number of a machine profile, once: its name in the file, its unit there, what it
/// may be, and where it lies in memory. Reading, writing and auditing go over these lists.

#include <span>
#include <string_view>

#include "sim/json_node.hpp"
#include "sim/machine/machine_profile.hpp"

namespace apb::sim {

/// A unit of the file, and what one of it is in SI units, which are those in memory.
struct FileUnit {
  std::string_view name;
  double factor = 1;
};

inline constexpr FileUnit kTeraFlopPerSecond{"TFLOP/s", 1e12};
inline constexpr FileUnit kGigaBytesPerSecond{"GB/s", 1e9};
inline constexpr FileUnit kGigaBytes{"GB", 1e9};
inline constexpr FileUnit kMicroseconds{"us", 1e-6};
inline constexpr FileUnit kNoUnit{"1", 1};

/// One number of a group of them.
template <class Group>
struct ValueEntry {
  std::string_view name;
  FileUnit unit;
  Allowed allowed = Allowed::kPositive;
  SourcedValue Group::*place = nullptr;
};

[[nodiscard]] std::span<const ValueEntry<MachineProfile>> machine_values();
[[nodiscard]] std::span<const ValueEntry<LaunchCost>> launch_values();
[[nodiscard]] std::span<const ValueEntry<Spread>> spread_values();

/// The file's number for one in memory: the one with the fewest digits that gives it back exactly,
/// if any does.
[[nodiscard]] double in_file_unit(double number, const FileUnit& unit);

inline constexpr std::array<std::string_view, 4> kGemmColumns{"m", "n", "k", "TFLOP/s"};
inline constexpr std::array<std::string_view, 5> kAttentionColumns{"mask", "q_len", "kv_len",
                                                                   "num_q_heads", "TFLOP/s"};
inline constexpr std::array<std::string_view, 2> kCollectiveColumns{"bytes", "us"};
inline constexpr std::array<std::string_view, 2> kMaskNames{"causal", "full"};

}  // namespace apb::sim
