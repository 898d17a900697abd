#pragma once
/// \file
/// Where the order of methods changes: the length from which on an approximate method overtakes an
/// exact one, and the network at which APB and the best exact method change places.

#include <optional>
#include <vector>

#include "sim/study/comparison.hpp"

namespace apb::sim {

/// No longer document is looked at.
inline constexpr Index kLongestBreakEven = Index{1} << 22;

/// One pair of methods.
struct BreakEven {
  SimMethod approximate = SimMethod::kApb;
  SimMethod exact = SimMethod::kFull;
  bool both_run = true;          ///< at kLongestBreakEven, whether it fits or not
  std::optional<Index> doc_len;  ///< as break_even_length has it
};

/// Star, APB and Spava against tensor parallelism, Ulysses, all-gather and the zigzag ring, in that
/// order: the exact methods of one approximate method follow each other.
[[nodiscard]] std::vector<BreakEven> break_even_lengths(const MachineModel& machine,
                                                        const JobMaker& job_of, Index ranks);

/// Bandwidths of a network card that are looked at.
inline constexpr double kSlowestNic = 0.1e9;  ///< bytes/s, one direction
inline constexpr double kFastestNic = 1e13;

/// Where APB and the fastest exact method that fits change places.
struct NicBreakEven {
  bool apb_wins_slow = false;  ///< with the slowest network card
  bool apb_wins_fast = false;  ///< with the fastest
  /// To a fiftieth; none if the same one wins with both.
  std::optional<double> bytes_per_s;
};
[[nodiscard]] NicBreakEven break_even_nic(const MachineModel& machine, const JobMaker& job_of,
                                          Index doc_len, Index ranks);

}  // namespace apb::sim
