#include "sim/predict/band.hpp"

#include <cmath>

namespace apb::sim {
namespace {

/// Equal work that is added up in another order differs by less, a real difference by more.
constexpr double kRounding = 1e-9;

double share(Seconds part, Seconds all) {
  return all.number > 0 ? part / all : 0;
}

}  // namespace

Band band_around(Seconds time, double spread) {
  const double factor = std::exp(kDeviationsToTenth * spread);
  return {Seconds(time.number / factor), time, factor * time};
}

bool less_beyond_rounding(Seconds a, Seconds b) {
  return a < (1 - kRounding) * b;
}

Difference difference_of(const Band& a, const Band& b) {
  if (!less_beyond_rounding(a.p50, b.p50) && !less_beyond_rounding(b.p50, a.p50))
    return Difference::kNone;
  return a.overlaps(b) ? Difference::kIndistinguishable : Difference::kClear;
}

double spread_of(const RankTime& rank, const ProvenanceTime& provenance, const Spread& spread) {
  const auto part = [&](Part which) { return rank.parts.at(static_cast<std::size_t>(which)); };
  const Seconds gemm = part(Part::kQkv) + part(Part::kRetainingHead) + part(Part::kOutput) +
                       part(Part::kFeedForward);
  const Seconds attention = part(Part::kAttention);
  const Seconds streaming = part(Part::kSelection) + part(Part::kOthers);
  const Seconds collective = part(Part::kCommunication);
  const Seconds all = rank.busy();
  const double beyond = provenance.share(static_cast<std::size_t>(Provenance::kExtrapolated)) +
                        provenance.share(static_cast<std::size_t>(Provenance::kAssumed));
  double variance = spread.session.number * spread.session.number;
  const auto add = [&](double part_of_time, const SourcedValue& deviation) {
    variance += std::pow(part_of_time * deviation.number, 2);
  };
  add(share(gemm, all), spread.gemm);
  add(share(attention, all), spread.attention);
  add(share(streaming, all), spread.streaming);
  add(share(collective, all), spread.collective);
  add(share(rank.host, all), spread.host);
  add(beyond, spread.extrapolated);
  return std::sqrt(variance);
}

}  // namespace apb::sim
