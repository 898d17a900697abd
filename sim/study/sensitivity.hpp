#pragma once
/// \file
/// Which input moves the answer most: every input by itself, once low and once high.

#include <string>
#include <vector>

#include "sim/predict/predict.hpp"

namespace apb::sim {

/// One input at two values.
struct Swing {
  std::string input;
  std::string low;  ///< the value, in words
  std::string high;
  Seconds at_low{};  ///< time to the first token
  Seconds at_high{};

  [[nodiscard]] Seconds width() const {
    return at_low < at_high ? at_high - at_low : at_low - at_high;
  }
};

struct Sensitivity {
  Seconds base{};
  std::vector<Swing> swings;  ///< widest first
};

/// What is known of the machine moves by its spread (p10 to p90), links and network cards by a
/// factor of two, what can be chosen by a factor of two as far as the method allows.
[[nodiscard]] Sensitivity sensitivity(const MachineModel& machine, const Job& job);

}  // namespace apb::sim
