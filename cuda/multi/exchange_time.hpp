#pragma once
/// \file
/// Times of exchanges between GPUs as nccl-tests states them, with the data checked.

#include <array>
#include <functional>
#include <string_view>
#include <vector>

#include "cuda/benchmarks/timing.hpp"
#include "cuda/comm/nccl_communicator.hpp"

namespace apb::cuda {

/// Grouped sends and receives but for the first and third, which are calls of NCCL's own.
enum class ExchangeKind { kAllGather, kAllToAll, kAllReduce, kSendReceive };
/// As machine profiles call them.
inline constexpr std::array<std::string_view, 4> kExchangeNames{"all_gather", "all_to_all",
                                                                "all_reduce", "send_receive"};

/// One exchange, as all ranks do it together.
struct ExchangePoint {
  ExchangeKind kind = ExchangeKind::kAllGather;
  /// What a rank ends up with: the gathered buffer, the receive buffer with its own part, the
  /// message. nccl-tests' "size".
  std::size_t bytes = 0;
  bool windows = false;   ///< memory of ncclMemAlloc, registered as a symmetric window
  bool captured = false;  ///< replayed from a CUDA graph
};

/// bytes / seconds is nccl-tests' algbw; this times it is busbw.
[[nodiscard]] inline double bus_share(ExchangeKind kind, int num_ranks) {
  const double others = static_cast<double>(num_ranks - 1) / num_ranks;
  switch (kind) {
    case ExchangeKind::kAllGather:
    case ExchangeKind::kAllToAll:
      return others;
    case ExchangeKind::kAllReduce:
      return 2 * others;
    case ExchangeKind::kSendReceive:
      return 1;
  }
  return 1;
}

/// What one rank measured.
struct ExchangeRuns {
  ExchangePoint point;
  std::vector<double> seconds;    ///< of one exchange, by batch
  std::uint64_t wrong_words = 0;  ///< that arrived
};

struct ExchangeTimes {
  std::vector<ExchangeRuns> runs;  ///< the same points on all ranks
  bool has_windows = true;         ///< whether NCCL registers windows between these ranks
};

/// Sizes double from the smallest to the largest; every kind, plain and in windows (where NCCL has
/// them), eager and captured. Collective.
/// \param agree     whether all ranks say yes
/// \param progress  told what comes next
/// \throws LibraryError, CudaError
[[nodiscard]] ExchangeTimes time_exchanges(NcclCommunicator& nccl, std::size_t smallest,
                                           std::size_t largest,
                                           const std::function<bool(bool)>& agree,
                                           const std::function<void(std::string_view)>& progress);

}  // namespace apb::cuda
