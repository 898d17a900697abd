#pragma once
/// \file
/// Lengths at which something changes: the longest prompt that fits, and where one method overtakes
/// another.

#include <functional>
#include <optional>
#include <string>

#include "sim/predict/predict.hpp"

namespace apb::sim {

/// A job for each document length.
using JobOfLength = std::function<Job(Index doc_len)>;
/// When the first token comes, for each document length.
using TimeOfLength = std::function<Seconds(Index doc_len)>;

/// Shorter and longer prompts are not looked at.
inline constexpr Index kShortestPrompt = 1024;
inline constexpr Index kLongestPrompt = Index{1} << 28;

/// The longest document whose memory need is below the machine's, to a thousandth; anchor and
/// passing lengths follow the document as job_of makes them. 0 if none fits; kLongestPrompt if that
/// does, and then the longest may be longer.
[[nodiscard]] Index longest_prompt(const MachineProfile& machine, const JobOfLength& job_of);

/// "280,576", or "at least 268,435,456" where the search has ended.
[[nodiscard]] std::string longest_prompt_text(Index tokens);

/// The shortest document (to a hundredth) from which on `faster` is predicted to be faster than
/// `slower`, up to `longest`; none if it is not at `longest`. kShortestPrompt if it is from there
/// on, and then perhaps for shorter ones.
/// \throws BadInput if one of them cannot do `longest`
[[nodiscard]] std::optional<Index> break_even_length(const TimeOfLength& faster,
                                                     const TimeOfLength& slower, Index longest);

}  // namespace apb::sim
