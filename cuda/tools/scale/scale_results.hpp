#pragma once
/// \file
/// What `apb scale` finds.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "cuda/multi/exchange_time.hpp"
#include "cuda/tools/bench/bench_results.hpp"

namespace apb::cuda {

/// One size of one exchange: the slowest rank's times.
struct ExchangeTime {
  ExchangePoint point;
  Timing time;
  std::uint64_t wrong_words = 0;  ///< that arrived, on all ranks
};

/// One layer by one method: in each run the slowest rank counts.
struct ScaledLayer {
  std::string method;
  Index doc_len = 0;
  ApbConfig config{};
  std::string why_not{};  ///< nothing was measured; empty: it was
  int runs = 0;
  Timing whole{};
  Timing computing{};               ///< with silent partners
  Timing exchange{};                ///< by itself
  double received_bytes = 0;        ///< by the rank that receives most
  std::vector<LayerRun> of_rank{};  ///< in the run of median time
  /// Computing less whole, pair by pair: their median, and what lies between their quartiles.
  double less_s = 0, less_spread_s = 0;

  /// What running both at once wins over one after the other. None where the exchange takes no more
  /// than pairs of runs differ by, or than a twentieth of the layer, by less than half of which a
  /// card drifts: it cannot be told then.
  [[nodiscard]] std::optional<double> won_s() const {
    constexpr double kDrift = 0.05;
    if (exchange.median_s <= std::max(less_spread_s, kDrift * whole.median_s)) return std::nullopt;
    return exchange.median_s + less_s;
  }
};

/// All layers of a model.
struct ScaledPrefill {
  std::string method;
  Index doc_len = 0;
  ApbConfig config{};
  Index num_layers = 0;
  std::string why_not{};
  Timing whole{};      ///< from the call to its end, memory taken included
  double layer_s = 0;  ///< mean of the layers behind the first, back to back
  double token_s = 0;  ///< of the answer, one after the other; 0: not measured
};

struct ScaleResults {
  std::string model, versions, date, command;
  std::vector<std::string> gpus;  ///< by rank
  int num_ranks = 1, num_nodes = 1;
  bool rehearsed = false;  ///< ranks share a GPU: what is measured says nothing
  bool has_windows = false;
  Index checks = 0;  ///< of what is timed, all right
  std::vector<ExchangeTime> exchanges;
  std::vector<ScaledLayer> layers;
  std::vector<ScaledPrefill> prefills;
  std::vector<ProductTime> products;
  std::vector<AttentionTime> attention;
};

}  // namespace apb::cuda
