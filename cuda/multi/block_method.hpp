#pragma once
/// \file
/// Star and APB, as cuda/prefill.hpp runs them.

#include "cuda/benchmarks/block_layer.hpp"
#include "cuda/multi/method_layer.hpp"

namespace apb::cuda {

class BlockMethod final : public MethodLayer {
 public:
  BlockMethod(Method method, const ApbConfig& config, const DeviceModel<Bfloat16>& model,
              Partners& partners)
      : partners_(partners), layer_(method, config, partners, model) {}
  LayerRun run(const std::function<void(cudaStream_t)>& before) override {
    return layer_.run(before);
  }
  void exchange(cudaStream_t stream) override {
    const PassingRoom<Bfloat16>& passing = layer_.passing();
    partners_.all_gather(passing.kept.data(), passing.gathered.data(),
                         passing.kept.size() * sizeof(Bfloat16), stream);
  }
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const override { return layer_.room(); }
  [[nodiscard]] const std::vector<Index>& positions() const override { return layer_.positions(); }
  [[nodiscard]] BlockLayer& layer() { return layer_; }

 private:
  Partners& partners_;
  BlockLayer layer_;
};

}  // namespace apb::cuda
