#pragma once
/// \file
/// What the ranks do in one layer and in which order: the common language of methods (which write
/// plans), work counts (which add them up) and the timeline (which gives them durations).
///
/// A layer is a list of steps. In a step every rank runs `before`; then the ranks exchange
/// something, and may run `during` beside it; the next step needs both. A rank is a group of
/// tensor_parallel GPUs that do the same: sizes here are those of one GPU.

#include <optional>
#include <vector>

#include "sim/machine/machine_profile.hpp"

namespace apb::sim {

/// What time, work and bytes are attributed to.
enum class Part {
  kQkv,
  kRetainingHead,
  kSelection,
  kCommunication,
  kAttention,
  kOutput,
  kFeedForward,
  kOthers,
};
inline constexpr std::size_t kNumParts = 8;
inline constexpr std::array<std::string_view, kNumParts> kPartNames{
    "QKV", "retaining head", "selection", "communication", "attention", "O", "FFN", "others"};

enum class OperationKind {
  kGemm,       ///< [m, k] x [k, n]
  kAttention,  ///< one kernel over one or more segments
  kStream,     ///< reads and writes memory, computes next to nothing
};

/// Something that one GPU computes, in one kernel or a few.
struct Operation {
  int rank = 0;
  Part part = Part::kOthers;
  OperationKind kind = OperationKind::kStream;
  Index m = 0, n = 0, k = 0;          ///< kGemm
  Index rows = 0;                     ///< kAttention: query rows
  Index pairs = 0;                    ///< kAttention: visible (row, key) pairs of one head
  Index heads = 0;                    ///< kAttention: query heads, times prompts of a batch
  Index head_dim = 0;                 ///< kAttention
  MaskKind mask = MaskKind::kCausal;  ///< kAttention: kFull where every row sees every key
  bool sparse = false;                ///< kAttention: gathers scattered keys (MInference)
  Index bytes = 0;                    ///< device memory read and written
  int launches = 1;                   ///< kernels
  Index times = 1;  ///< that this runs, one after the other: all of the above is of one time

  /// Once, as the reference counts: 2 m n k; 4 head_dim pairs heads; 0.
  [[nodiscard]] Index flop() const {
    if (kind == OperationKind::kGemm) return 2 * m * n * k;
    return kind == OperationKind::kAttention ? 4 * head_dim * pairs * heads : 0;
  }
};

/// Who waits for whom in an exchange.
enum class Meeting {
  kAllRanks,    ///< it begins when the last rank has come
  kNeighbours,  ///< each rank needs the one before it (ring)
  kOwnGroup,    ///< between the tensor-parallel GPUs of each rank: ranks do not wait for each other
};

/// What the GPUs send each other.
struct Exchange {
  CollectiveKind kind = CollectiveKind::kAllGather;
  Meeting meeting = Meeting::kAllRanks;
  Index calls = 1;              ///< collectives of this size, one after the other
  std::vector<Index> received;  ///< per rank, all calls: payload from others, for one GPU
  std::vector<Index> sent;      ///< per rank, all calls: payload to others, once per receiver
  /// Per rank, one call: size as CollectivePoint has it.
  std::vector<Index> size;
};

struct Step {
  std::vector<Operation> before;
  std::vector<Operation> during;
  std::optional<Exchange> exchange;
};

/// One layer.
struct LayerPlan {
  int num_ranks = 1;
  std::vector<Step> steps;
};

}  // namespace apb::sim
