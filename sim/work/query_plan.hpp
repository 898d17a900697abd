#pragma once
/// \file
/// What follows the prefill: the query's rows, and later one token after the other, against the
/// caches of all ranks.

#include "reference/core/block_layout.hpp"
#include "sim/work/plan_builder.hpp"

namespace apb::sim {

/// One layer of a pass of `rows` rows: every rank runs all of them against its own cache, then the
/// partial results are gathered and merged. One rank, or tensor parallelism, has nothing to gather.
/// \param before rows of query and answer that are cached already
[[nodiscard]] LayerPlan plan_query_pass(const Job& job, const ApbConfig& config, Index rows,
                                        Index before);

}  // namespace apb::sim
