#pragma once
/// \file
/// Calls a plug-in kernel in a process of its own, with a time limit.

#include <string>
#include <vector>

#include "reference/core/case/case_file.hpp"
#include "reference/core/matrix.hpp"
#include "reference/verify/truth.hpp"

namespace apb {

/// How a call ended.
enum class PluginEnding { kOk, kUnsupported, kFailed };

struct PluginResult {
  PluginEnding ending = PluginEnding::kFailed;
  std::string why;                       ///< of kFailed, in words
  std::vector<HeadsTensor<double>> out;  ///< of every batch item, [rows, num_q_heads, head_dim]
  std::vector<Matrix<double>> lse;       ///< of every batch item, [rows, num_q_heads]
};

struct PluginHost {
  std::string library;
  double timeout_s = 60;
};

/// Calls the plug-in with items of one shape as a batch.
/// \param items inputs, representable in `type` (not float64)
/// \throws CannotRun if no process can be started
/// \throws BadInput if the library cannot be loaded or has no function apb_attention
[[nodiscard]] PluginResult call_plugin(const PluginHost& host, const ApbConfig& config,
                                       const std::vector<const CaseRank*>& items, ValueType type);

/// What main does first: if this process was started by call_plugin, makes the call and ends.
void serve_plugin_call(int argc, char** argv);

}  // namespace apb
