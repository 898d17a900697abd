#pragma once
/// \file
/// From the command line of a model run to a job for the ranks: all input checked, all text cut
/// into tokens.

#include <nlohmann/json.hpp>

#include "reference/model_io/run_options.hpp"

namespace apb {

/// The job: the model, the request (io/request_json.hpp), and where results go.
/// \param app parsed: which options were given
/// \throws BadInput
[[nodiscard]] nlohmann::json prepare_job(const CLI::App& app, const RunOptions& options,
                                         const Precisions& precisions);

}  // namespace apb
