#pragma once
/// \file
/// A case from one layer of a model's real prefill.

#include "reference/case_makers/assemble_case.hpp"
#include "reference/tools/case/case_options.hpp"

namespace apb {

/// Runs the model over the text up to the layer, all ranks in this process, and makes the case of
/// what that layer attends to: rounded to the precision, then selected and passed on again, so that
/// the case is consistent in itself.
[[nodiscard]] CaseFile model_case(const CLI::App& app, const CaseOptions& options, ValueType type);

}  // namespace apb
