#pragma once
/// \file
/// Zigzag ring attention over NCCL: messages travel on a stream of their own, from the moment that
/// the own keys lie there, while earlier ones are attended to.

#include "cuda/benchmarks/ring_layer.hpp"
#include "cuda/multi/method_layer.hpp"

namespace apb::cuda {

/// Sends the own keys and values around the ring, and on what arrives.
class NcclRingMessages final : public RingMessages {
 public:
  explicit NcclRingMessages(Partners& partners)
      : partners_(partners), arrived_(static_cast<std::size_t>(partners.num_ranks())) {}
  void begin(const RingLayer& layer, cudaStream_t stream) override;
  void await(int step, cudaStream_t stream) override;
  /// Enqueues the way of all messages, without waiting for anything.
  void travel(const RingLayer& layer, cudaStream_t stream);

 private:
  Partners& partners_;
  Stream exchange_{Urgency::kFirst};
  Event packed_;
  std::vector<Event> arrived_;  ///< by step; the first is the own
};

class NcclRingLayer final : public MethodLayer {
 public:
  NcclRingLayer(Index doc_len, const DeviceModel<Bfloat16>& model, Partners& partners)
      : messages_(partners),
        layer_(doc_len, partners.num_ranks(), partners.rank(), model, &messages_),
        positions_(layer_.positions()) {}
  LayerRun run(const std::function<void(cudaStream_t)>& before) override {
    return layer_.run(before).layer;
  }
  void exchange(cudaStream_t stream) override { messages_.travel(layer_, stream); }
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const override { return layer_.room(); }
  [[nodiscard]] const std::vector<Index>& positions() const override { return positions_; }
  [[nodiscard]] const float* lse() const override { return layer_.lse().data(); }

 private:
  NcclRingMessages messages_;
  RingLayer layer_;
  std::vector<Index> positions_;
};

}  // namespace apb::cuda
