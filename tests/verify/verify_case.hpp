#pragma once
/// \file
/// Small cases in memory, and a kernel to be judged: attention row by row as fused kernels do it
/// (online softmax over tiles of keys, split KV, low precision), written apart from all library
/// code, with switches for every known mistake.

#include <functional>

#include "reference/attention/visibility.hpp"
#include "reference/core/case/candidate_file.hpp"
#include "reference/verify/judge.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {

struct CaseShape {
  int num_ranks = 3;
  std::vector<Index> block_lens;
  Index anchor_len = 0;
  Index query_rows = 0;  ///< embedded query
  Index num_kept = 0;
  Index num_q_heads = 4;
  Index num_kv_heads = 2;
  Index head_dim = 16;
  double spread = 2;  ///< of queries and keys: scores grow with its square
  Compressor compressor = Compressor::kRandom;
  AnchorConvention convention = AnchorConvention::kPaper;
};

/// What becomes of a key that a row does not see.
enum class HiddenKeys {
  kSkipped,   ///< never looked at
  kSelected,  ///< its score is replaced by -inf, its value weighed with 0
  kAdded,     ///< -inf is added to its score
};

/// All ranks, inputs rounded to `type`, selection and passing blocks as APB makes them.
[[nodiscard]] CaseFile make_case(std::uint64_t seed, const CaseShape& shape, ValueType type);

/// Adds a query pass over the ranks' blocks; the last rank holds the query's own keys.
void add_decode(CaseFile& case_file, std::uint64_t seed, Index query_rows);

/// How the kernel computes. The default is right.
struct Kernel {
  ValueType compute_type = ValueType::kFloat32;
  ValueType out_type = ValueType::kFloat32;
  Index tile = 64;         ///< keys of one step of the online softmax
  int splits = 1;          ///< parts of the keys that are merged at the end
  bool backwards = false;  ///< keys from last to first

  // What a wrong kernel does otherwise.
  HiddenKeys hidden = HiddenKeys::kSkipped;
  std::function<bool(Segment, Index, Segment, Index)> visible = is_visible;
  std::function<Index(Index head, Index group, Index kv_heads)> kv_head =
      [](Index head, Index group, Index) { return head / group; };
  std::function<double(double)> scale = [](double right) { return right; };
  std::function<bool(Segment, Index key_row)> value_is_zero = [](Segment, Index) { return false; };
  double lse_factor = 1;
};

/// out and lse of all rows of a rank.
[[nodiscard]] CandidateRank run_kernel(const Kernel& kernel, const CaseFile& case_file,
                                       const CaseRank& rank);

/// A candidate with every rank's out and lse.
[[nodiscard]] CandidateFile run_kernel(const Kernel& kernel, const CaseFile& case_file);

}  // namespace apb
