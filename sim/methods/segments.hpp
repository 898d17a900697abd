#pragma once
/// \file
/// Attention over [anchor, passing, block], as one kernel or as pieces: shared by APB and Spava.

#include "sim/work/plan_builder.hpp"

namespace apb::sim {

/// Rows and keys of one block with its anchor and what was passed to it.
struct Segments {
  Index anchor_rows = 0;  ///< rows that see the anchor causally; 0 where another call has them
  Index anchor_keys = 0;
  Index block_rows = 0;
  Index passing_keys = 0;
};

/// What the block sees without the passing block: anchor rows, block against anchor, block itself.
void attend_own(PlanBuilder& builder, int rank, const Segments& segments);
/// What the block sees of the passing block.
void attend_passing(PlanBuilder& builder, int rank, const Segments& segments);
/// All of it, in the library's style.
void attend_all(PlanBuilder& builder, int rank, const Segments& segments, SegmentStyle style);

}  // namespace apb::sim
