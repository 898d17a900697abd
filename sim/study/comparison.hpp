#pragma once
/// \file
/// All methods side by side at one length and number of ranks, and what can be said of it.

#include <optional>
#include <string>
#include <vector>

#include "sim/predict/longest_prompt.hpp"

namespace apb::sim {

/// A job for each method, length and number of ranks: how the user asks.
using JobMaker = std::function<Job(SimMethod method, Index doc_len, Index ranks)>;

/// One method.
struct Contender {
  SimMethod method = SimMethod::kFull;
  std::optional<Job> job;
  std::optional<Prediction> prediction;
  std::string refusal;       ///< why there is no prediction
  Index longest_prompt = 0;  ///< tokens
};

struct Comparison {
  Index doc_len = 0;
  Index ranks = 0;
  std::vector<Contender> contenders;  ///< in the order of kSimMethods

  [[nodiscard]] const Contender& of(SimMethod method) const {
    return contenders.at(static_cast<std::size_t>(method));
  }
  /// Times of the same GPUs by another method over this one's; none if this one cannot be
  /// predicted or the other one does not run there.
  [[nodiscard]] std::optional<double> speedup(const Contender& contender, SimMethod over) const;
};

[[nodiscard]] Comparison compare(const MachineModel& machine, const JobMaker& job_of, Index doc_len,
                                 Index ranks);

/// The fastest that fits (or is borderline), of all or of the exact ones; of equal ones the first;
/// none if none runs.
[[nodiscard]] const Contender* fastest(const Comparison& comparison, bool exact_only);

/// How a method stands to the fastest.
enum class Standing {
  kFastest,
  kEquallyFast,        ///< one of several that take the same time, and nothing is faster
  kIndistinguishable,  ///< slower, but its band overlaps the fastest one's
  kSlower,
  kDoesNotRun,  ///< the method cannot do this, or it does not fit
};
[[nodiscard]] Standing standing_of(const Comparison& comparison, const Contender& contender);
[[nodiscard]] std::string_view to_string(Standing standing);

/// A sentence or two: which is fastest, by how much, and what cannot be told apart.
[[nodiscard]] std::string answer(const Comparison& comparison);

}  // namespace apb::sim
