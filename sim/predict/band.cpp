#include "sim/predict/band.hpp"

#include <cmath>

namespace apb::sim {
namespace {

double share(Seconds part, Seconds all) {
  return all.number > 0 ? part / all : 0;
}

}  // namespace

Band band_around(Seconds time, double spread) {
  const double factor = std::exp(kDeviationsToTenth * spread);
  return {Seconds(time.number / factor), time, factor * time};
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
