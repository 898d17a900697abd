#include "cuda/multi/nccl_ring.hpp"

#include "cuda/multi/copy_columns.hpp"

namespace apb::cuda {

void NcclRingMessages::begin(const RingLayer& layer, cudaStream_t stream) {
  const LayerRoom<Bfloat16>& room = layer.room();
  copy_columns<Bfloat16>(as_rows(room.key()), layer.message(layer.rank(), 0), stream);
  copy_columns<Bfloat16>(as_rows(room.value()), layer.message(layer.rank(), 1), stream);
  packed_.record(stream);
  packed_.hold_back(exchange_.get());
  travel(layer, exchange_.get());
}

void NcclRingMessages::travel(const RingLayer& layer, cudaStream_t stream) {
  const auto bytes = [](const DeviceRows<Bfloat16>& rows) {
    return static_cast<std::size_t>(rows.rows * rows.columns) * sizeof(Bfloat16);
  };
  for (int step = 1; step < layer.num_ranks(); ++step) {
    std::vector<NcclCommunicator::Passed> messages;
    for (const int half : {0, 1}) {
      const auto held = layer.message(layer.owner(step - 1), half);
      const auto coming = layer.message(layer.owner(step), half);
      messages.push_back({held.data, bytes(held), coming.data, bytes(coming)});
    }
    partners_.pass_on(messages, stream);
    arrived_[static_cast<std::size_t>(step)].record(stream);
  }
}

void NcclRingMessages::await(int step, cudaStream_t stream) {
  arrived_[static_cast<std::size_t>(step)].hold_back(stream);
}

}  // namespace apb::cuda
