#pragma once
/// \file
/// The text that a model reads: from a file or standard input, and not longer than makes sense.

#include <string>

#include "reference/core/weights/model_shape.hpp"
#include "reference/model_io/tokenizer.hpp"

namespace apb {

/// A text may have this many times the tokens that its model was trained for: enough to see how a
/// model fails beyond, and few enough that reading one never takes all memory.
inline constexpr Index kMostContexts = 16;

/// The text of `path` ("-": standard input), read no further than a text may be long.
/// \throws BadInput if it cannot be read, is surely too long, or is no text for this tokenizer
[[nodiscard]] std::string read_text(const std::string& path, const ModelShape& model,
                                    const Tokenizer& tokenizer);

/// \throws BadInput if the text has more tokens than a text may have
void require_text_length(const std::string& path, Index num_tokens, const ModelShape& model);

}  // namespace apb
