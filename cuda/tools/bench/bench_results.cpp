#include "cuda/tools/bench/bench_results.hpp"

#include <algorithm>

namespace apb::cuda {

std::optional<double> MethodTime::layer_s() const {
  if (no_room || ranks.empty()) return std::nullopt;
  double slowest = 0;
  for (const RankTime& rank : ranks) slowest = std::max(slowest, rank.total_s());
  return slowest;
}

const MethodTime* LengthTimes::method(std::string_view name) const {
  const auto found = std::find_if(methods.begin(), methods.end(),
                                  [&](const MethodTime& one) { return one.name == name; });
  return found == methods.end() ? nullptr : &*found;
}

std::optional<double> LengthTimes::full_by_peer_s() const {
  const MethodTime* full = method("full");
  if (full == nullptr || !full->layer_s() || !peer_s) return std::nullopt;
  return *full->layer_s() - full->ranks.front().median.of(LayerPart::kAttention) + *peer_s;
}

std::optional<double> LengthTimes::apb_at_peer_rate_s() const {
  const MethodTime *full = method("full"), *apb = method("apb");
  if (apb == nullptr || !apb->layer_s() || !full_by_peer_s()) return std::nullopt;
  const double faster = full->ranks.front().median.of(LayerPart::kAttention) / *peer_s;
  double slowest = 0;
  for (const RankTime& rank : apb->ranks) {
    const double attention_s = rank.median.of(LayerPart::kAttention);
    slowest = std::max(slowest, rank.total_s() - attention_s + attention_s / faster);
  }
  return slowest;
}

}  // namespace apb::cuda
