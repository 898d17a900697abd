#pragma once
/// \file
/// Shapes of known models as JSON files (configs/models): every value with the name of its source.

#include <string>

#include "reference/core/weights/model_shape.hpp"

namespace apb {

/// What a file states.
struct ModelShapeFile {
  ModelShape shape;  ///< eos_token_ids are not stated
  bool tied_embeddings = false;
  bool qkv_bias = false;

  /// Weights of the model in all.
  [[nodiscard]] Index num_parameters() const;
};

/// \throws BadInput naming file and key: unknown, missing, impossible, or without a source
[[nodiscard]] ModelShapeFile read_model_shape_file(const std::string& path);

}  // namespace apb
