#pragma once
/// \file
/// Lengths that a method is usually run with, where the user gives none.

#include "sim/work/job.hpp"

namespace apb::sim {

/// Anchor and kept entries as their authors choose them:
/// - APB (paper, table 8): a quarter of the block, at most 8,192 tokens; half of that is kept;
/// - Star (arXiv 2411.17116): an anchor as long as the block, nothing kept;
/// - APE: APB's anchor as the shared prefix;
/// - Spava (arXiv 2601.21444, code): a 64th and a 128th of the document, in whole tiles of 128; a
///   shorter anchor where rank 0's part of the document is shorter.
/// Whole tiles of 128 tokens where that fits, never more than the first block holds. Methods
/// without anchors get none.
void set_usual_lengths(Job& job);

/// The document cut anew so that all ranks take the same time: the method's own blocks are equal in
/// tokens, and the last rank of APB has the most to attend to. Changes job.lengths.block_lens.
/// \param busy the ranks' compute time with the blocks that the job has now
void shift_blocks(Job& job, const std::vector<double>& busy_s);

}  // namespace apb::sim
