#pragma once
/// \file
/// Lengths at which something changes: the longest prompt that fits, and where one method overtakes
/// another.

#include <functional>
#include <optional>

#include "sim/predict/predict.hpp"

namespace apb::sim {

/// A job for each document length.
using JobOfLength = std::function<Job(Index doc_len)>;

/// Longer prompts are not asked for.
inline constexpr Index kLongestPrompt = Index{1} << 28;

/// The longest document whose memory need is below the machine's, to a thousandth; anchor and
/// passing lengths follow the document as job_of makes them. 0 if none fits,
/// kLongestPrompt if that does.
[[nodiscard]] Index longest_prompt(const MachineProfile& machine, const JobOfLength& job_of);

/// The shortest document (to a hundredth) from which on `faster` is predicted to be faster than
/// `slower`, up to `longest`; none if it is not at `longest`.
[[nodiscard]] std::optional<Index> break_even_length(const MachineModel& machine,
                                                     const JobOfLength& faster,
                                                     const JobOfLength& slower, Index longest);

}  // namespace apb::sim
