#pragma once
/// \file
/// Which tokens each row of each method must see, said once more without segments, chunks of work
/// or messages: from the methods' papers, token by token.

#include "tests/methods/attention_system.hpp"

namespace apb {

/// Tokens that a row sees: document token i is i, query token j is doc_len + j. A token that the
/// rank holds twice and sees twice (in a passing block and an anchor) is named twice.
/// \param config  as the method runs it
/// \param runs    all ranks' (for what they kept)
/// \param kv_head whose kept tokens are passed
template <class Scalar>
[[nodiscard]] std::vector<Index> visible_tokens(Method method, const ApbConfig& config,
                                                const std::vector<RankRun<Scalar>>& runs, int rank,
                                                Index row, Index kv_head);

}  // namespace apb
