#include "sim/work/work_counts.hpp"

namespace apb::sim {
namespace {

void add(std::vector<LayerWork>& work, const std::vector<Operation>& operations) {
  for (const Operation& operation : operations) {
    PartWork& part =
        work[static_cast<std::size_t>(operation.rank)].at(static_cast<std::size_t>(operation.part));
    part.flop += operation.times * operation.flop();
    part.device_bytes += operation.times * operation.bytes;
  }
}

}  // namespace

PartWork sum_of(const LayerWork& work) {
  PartWork sum;
  for (const PartWork& part : work) {
    sum.flop += part.flop;
    sum.device_bytes += part.device_bytes;
    sum.bytes_received += part.bytes_received;
    sum.bytes_sent += part.bytes_sent;
  }
  return sum;
}

std::vector<LayerWork> work_of(const LayerPlan& plan) {
  std::vector<LayerWork> work(static_cast<std::size_t>(plan.num_ranks));
  for (const Step& step : plan.steps) {
    add(work, step.before);
    add(work, step.during);
    if (!step.exchange) continue;
    for (std::size_t rank = 0; rank < work.size(); ++rank) {
      PartWork& part = work[rank].at(static_cast<std::size_t>(Part::kCommunication));
      part.bytes_received += step.exchange->received[rank];
      part.bytes_sent += step.exchange->sent[rank];
    }
  }
  return work;
}

Counters counters_of(const LayerWork& work) {
  const auto part = [&](Part which) { return work.at(static_cast<std::size_t>(which)); };
  Counters counters;
  counters.attention_flop = part(Part::kAttention).flop;
  counters.projection_flop =
      part(Part::kQkv).flop + part(Part::kOutput).flop + part(Part::kFeedForward).flop;
  counters.compressor_flop = part(Part::kRetainingHead).flop + part(Part::kSelection).flop;
  counters.bytes_received = part(Part::kCommunication).bytes_received;
  counters.bytes_sent = part(Part::kCommunication).bytes_sent;
  return counters;
}

}  // namespace apb::sim
