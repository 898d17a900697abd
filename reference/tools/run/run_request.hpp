#pragma once
/// \file
/// From the command line of `apb run` to a job for the ranks: all input checked, all text cut into
/// tokens.

#include <nlohmann/json.hpp>

#include "reference/tools/run/run_options.hpp"

namespace apb {

/// The job: the model, the request (io/request_json.hpp), and where results go.
/// \param app parsed: which options were given
/// \throws BadInput
[[nodiscard]] nlohmann::json prepare_job(const CLI::App& app, const RunOptions& options);

}  // namespace apb
