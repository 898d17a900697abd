#pragma once
/// \file
/// What the golden tests run: a whole prompt in one piece.

#include <vector>

#include "reference/comm/local_communicator.hpp"
#include "reference/core/matrix.hpp"
#include "reference/model/prefill.hpp"

namespace apb {

/// Final hidden states of the whole prompt, Full attention on one rank, [tokens, hidden_size].
template <class Scalar>
[[nodiscard]] Matrix<Scalar> prompt_hidden(const ModelWeights<Scalar>& weights,
                                           const std::vector<int>& tokens) {
  ApbConfig config;
  config.doc_len = std::ssize(tokens);
  set_model_shape(config, weights.shape);
  const BlockLayout layout = make_block_layout(config);
  Matrix<Scalar> hidden;
  run_local_ranks(1, 2, [&](Communicator& communicator) {
    hidden = prefill<Scalar>(Method::kFull, {config, layout, communicator}, weights, tokens, {},
                             [](Index) {})
                 .hidden;
  });
  return hidden;
}

}  // namespace apb
