#pragma once
/// \file
/// Device memory that one GPU of a job needs at its worst moment, and whether it has it.

#include <string_view>

#include "sim/machine/machine_profile.hpp"
#include "sim/work/job.hpp"

namespace apb::sim {

/// Bytes on the fullest GPU.
struct Memory {
  Index weights = 0;
  Index cache = 0;        ///< keys and values of all its layers, anchors included until the end
  Index activations = 0;  ///< of one layer, at the feed-forward network or at the attention
  Index exchange = 0;     ///< gathered or circulating keys and values of one layer
  Index logits = 0;       ///< of the last row
  Index reserved = 0;     ///< context, NCCL's buffers, what an allocator loses

  [[nodiscard]] Index total() const {
    return weights + cache + activations + exchange + logits + reserved;
  }
};

/// \param config made by config_of
[[nodiscard]] Memory memory_of(const Job& job, const ApbConfig& config,
                               const MachineProfile& machine);

/// What can be said of a need against what there is. What an implementation keeps beside what it
/// must is not known, so near the limit nothing is.
enum class Fit { kFits, kBorderline, kOutOfMemory };

inline constexpr double kBorderline = 0.10;  ///< of the limit, on both sides

[[nodiscard]] Fit fit_of(Index needed, const MachineProfile& machine);

[[nodiscard]] constexpr std::string_view to_string(Fit fit) {
  switch (fit) {
    case Fit::kFits:
      return "fits";
    case Fit::kBorderline:
      return "borderline";
    case Fit::kOutOfMemory:
      return "out of memory";
  }
  return "";
}

/// Keys and values that a GPU keeps after the prefill.
[[nodiscard]] Index kept_cache_bytes(const Job& job, const ApbConfig& config);

}  // namespace apb::sim
