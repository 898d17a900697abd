#pragma once
/// \file
/// Verify first: every method that is timed, at one length.

#include "cuda/tools/bench/announcer.hpp"
#include "cuda/tools/bench/measure.hpp"

namespace apb::cuda {

/// Judges Full, Star's last rank, APB's first and last rank and a rank of the ring, on what they
/// would be timed on (judge_layer.hpp), and prints the outcome: one line, or the checks of what is
/// wrong.
/// \returns whether all is right
[[nodiscard]] bool methods_are_right(const DeviceModel<Bfloat16>& model,
                                     const LengthQuestion& question, const Announcer& announce);

}  // namespace apb::cuda
