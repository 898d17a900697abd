#pragma once
/// \file
/// Runs a plug-in kernel over a grid of awkward shapes, and over a case, and judges what it gives.

#include <cstdint>

#include "reference/verify/judge.hpp"
#include "reference/verify/plugin_call.hpp"

namespace apb {

/// What came out for one shape and element type.
struct ShapeResult {
  std::string shape;  ///< in words
  PluginEnding ending = PluginEnding::kFailed;
  std::string why;      ///< of kFailed
  Judgement judgement;  ///< of kOk: the "rank" of a verdict is the batch item
  [[nodiscard]] bool pass() const {
    return ending == PluginEnding::kUnsupported ||
           (ending == PluginEnding::kOk && judgement.pass());
  }
};

/// Every element type with the first shape of every head_dim, then with all shapes (grid_shape.hpp)
/// of those that the plug-in takes. What it takes not, is a result too: of a whole type or
/// head_dim one, else of the shape.
/// \param progress told every shape before it is run; may be empty
/// \throws BadInput if the plug-in supports nothing
[[nodiscard]] std::vector<ShapeResult> judge_plugin_on_grid(
    const PluginHost& host, std::uint64_t seed,
    const std::function<void(const std::string&)>& progress);

/// Every rank of a case as a batch of one.
/// \throws BadInput if no element type of a plug-in holds the case's values exactly
[[nodiscard]] std::vector<ShapeResult> judge_plugin_on_case(const PluginHost& host,
                                                            const CaseFile& case_file,
                                                            const JudgeOptions& options);

}  // namespace apb
