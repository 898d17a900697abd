#pragma once
/// \file
/// One layer of prefill on one rank, by a method whose ranks hold [anchor, passing, block].

#include "cuda/benchmarks/absent_partners.hpp"
#include "cuda/benchmarks/layer_marks.hpp"
#include "cuda/prefill.hpp"

namespace apb::cuda {

/// A rank with random activations, and random entries where its partners' would arrive; run as
/// often as wanted, always on the same inputs.
class BlockLayer {
 public:
  /// \param config made by method_config
  /// \param model  of one layer; must outlive this
  /// \throws CudaError if there is not enough memory
  BlockLayer(Method method, ApbConfig config, int rank, const DeviceModel<Bfloat16>& model);

  /// Runs the layer once, marking its parts, and waits.
  /// \param before called when the inputs lie there, e.g. to empty the cache
  LayerRun run(const std::function<void(cudaStream_t)>& before);

  /// Fills hidden with the inputs of every run. Enqueued.
  void fill_inputs();

  [[nodiscard]] Method method() const { return method_; }
  [[nodiscard]] const ApbConfig& config() const { return config_; }
  [[nodiscard]] const DeviceModel<Bfloat16>& model() const { return model_; }
  [[nodiscard]] GpuRank& rank() { return rank_; }
  [[nodiscard]] const RankLayout& layout() const { return rank_.rank_layout(); }
  [[nodiscard]] const BlockLayout& layouts() const { return layouts_; }
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const { return room_; }
  [[nodiscard]] const PassingRoom<Bfloat16>& passing() const { return passing_; }
  [[nodiscard]] const KeptOfLayer& kept() const { return kept_; }

 private:
  Method method_;
  ApbConfig config_;
  BlockLayout layouts_;
  const DeviceModel<Bfloat16>& model_;
  AbsentPartners communicator_;
  GpuRank rank_;
  LayerRoom<Bfloat16> room_;
  PassingRoom<Bfloat16> passing_;
  KeptOfLayer kept_;
};

}  // namespace apb::cuda
