#include "sim/predict/longest_prompt.hpp"

#include "reference/cli/text_table.hpp"
#include "reference/core/error.hpp"
#include "sim/methods/method_table.hpp"

namespace apb::sim {
namespace {

/// A document too short for its anchor is none that does not fit.
bool fits(const MachineProfile& machine, const Job& job) {
  try {
    return static_cast<double>(memory_of(job, config_of(job), machine).total()) <=
           machine.memory_bytes.number;
  } catch (const BadInput&) {
    return true;
  }
}

}  // namespace

Index longest_prompt(const MachineProfile& machine, const JobOfLength& job_of) {
  if (!fits(machine, job_of(kShortestPrompt))) return 0;
  Index low = kShortestPrompt;
  Index high = 2 * kShortestPrompt;
  while (high < kLongestPrompt && fits(machine, job_of(high))) {
    low = high;
    high *= 2;
  }
  if (high == kLongestPrompt && fits(machine, job_of(high))) return high;
  while (high - low > low / 1000 + 1) {
    const Index middle = low + (high - low) / 2;
    (fits(machine, job_of(middle)) ? low : high) = middle;
  }
  return low;
}

std::string longest_prompt_text(Index tokens) {
  return (tokens == kLongestPrompt ? "at least " : "") + with_separators(tokens);
}

std::optional<Index> break_even_length(const TimeOfLength& faster, const TimeOfLength& slower,
                                       Index longest) {
  const auto wins = [&](Index doc_len) {
    return less_beyond_rounding(faster(doc_len), slower(doc_len));
  };
  if (!wins(longest)) return std::nullopt;
  const auto runs_and_wins = [&](Index doc_len) {
    try {
      return wins(doc_len);
    } catch (const BadInput&) {  // too short for its anchor
      return false;
    }
  };
  // Down from the longest while it still wins: above the answer it always does.
  Index high = longest;
  while (high > kShortestPrompt && runs_and_wins(high / 2)) high /= 2;
  if (high <= kShortestPrompt) return kShortestPrompt;
  Index low = high / 2;
  while (high - low > low / 100 + 1) {
    const Index middle = low + (high - low) / 2;
    (runs_and_wins(middle) ? high : low) = middle;
  }
  return high;
}

}  // namespace apb::sim
