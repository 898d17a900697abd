#pragma once
/// \file
/// Files of trained retaining heads, made by `./apb import heads`.
///
/// Root attributes: `schema` = "apb-heads", `version` = 1, `num_layers`, `num_kv_heads`,
/// `input_size` = (num_q_heads + 2 num_kv_heads) head_dim, `hidden_size` (0: linear heads).
/// Datasets /layers/N/fc1 [hidden_size, input_size] and /layers/N/fc2 [num_kv_heads, hidden_size];
/// of linear heads /layers/N/fc1 [num_kv_heads, input_size] alone.

#include <string>
#include <vector>

#include "reference/core/weights/model_weights.hpp"

namespace apb {

/// The hidden width that a heads file states (0: linear heads), after checking that it fits the
/// model and that all its datasets have the shapes that follow. The weights are not read.
/// \throws BadInput if something is missing, of another shape, or made for another model
[[nodiscard]] Index read_retaining_size(const std::string& path, const ModelShape& model);

/// One head per layer; stored values are converted to Scalar. \throws BadInput as above
template <class Scalar>
[[nodiscard]] std::vector<RetainingHead<Scalar>> read_retaining_heads(const std::string& path,
                                                                      const ModelShape& model);

}  // namespace apb
