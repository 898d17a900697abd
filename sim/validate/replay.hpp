#pragma once
/// \file
/// A validation set replayed: what is predicted beside what was measured, and which bounds hold.

#include <optional>

#include "sim/predict/predict.hpp"
#include "sim/validate/validation_set.hpp"

namespace apb::sim {

/// A cell of a set: a predicted time against a measured one, or a verdict on memory.
struct Cell {
  std::string what;   ///< method, or kernel and rank
  Index doc_len = 0;  ///< 0: not a prefill
  std::string method;
  std::optional<Seconds> measured;
  Seconds predicted{};
  Band band;
  std::optional<Fit> fit;  ///< none: not a whole prefill, so nothing is said of memory

  [[nodiscard]] double error() const { return predicted / *measured - 1; }
  /// Whether the memory verdict can stand beside what happened.
  [[nodiscard]] bool memory_agrees() const {
    return !fit || *fit != (measured ? Fit::kOutOfMemory : Fit::kFits);
  }
};

/// A part of one layer, predicted beside measured.
struct PartCell {
  std::string method;
  std::string part;
  Seconds measured{};
  Seconds predicted{};
};

struct Replay {
  std::vector<Cell> cells;
  std::vector<PartCell> parts;
  double mean_error = 0;  ///< of absolute values
  double worst_error = 0;
  double coverage = 0;
  double half_width = 0;                 ///< median
  std::vector<std::string> wrong_order;  ///< pairs that come out in another order than measured
  std::vector<std::string> broken;       ///< bounds that do not hold, in words
};

/// \throws BadInput for a row that cannot be
[[nodiscard]] Replay replay(const ValidationSet& set, const MachineModel& machine,
                            const ModelSizes& model);

}  // namespace apb::sim
