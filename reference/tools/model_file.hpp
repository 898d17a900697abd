#pragma once
/// \file
/// Shapes of known models, configs/models/NAME.json: every value with the name of its source.

#include <string>
#include <vector>

#include "reference/model/llama.hpp"

namespace apb {

/// What a model file states.
struct ModelFile {
  LlamaConfig shape;  ///< eos_token_ids are not stated
  bool tied_embeddings = false;
  bool qkv_bias = false;

  /// Weights of the model in all.
  [[nodiscard]] Index num_parameters() const;
};

/// Names of the files in configs/models, without .json, in order.
[[nodiscard]] std::vector<std::string> known_models();

/// \param name one of known_models(), or the path of a .json file
/// \throws BadInput naming file and key: unknown, missing, impossible, or without a source
[[nodiscard]] ModelFile read_model_file(const std::string& name);

}  // namespace apb
