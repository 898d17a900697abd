#pragma once
/// \file
/// Joins the attention of the same query rows over every rank's keys.

#include "reference/attention/attention.hpp"
#include "reference/core/communicator.hpp"

namespace apb {

/// Gathers every rank's partial (out and lse in the precision they have) and merges them in rank
/// order, so that all ranks hold the same bits. Collective: one all-gather.
/// \param mine this rank's partial; all ranks' have the same shape
template <class Scalar>
[[nodiscard]] AttentionPartial<Scalar> merge_over_ranks(const AttentionPartial<Scalar>& mine,
                                                        Communicator& communicator);

}  // namespace apb
