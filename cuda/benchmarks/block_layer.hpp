#pragma once
/// \file
/// One layer of prefill on one rank, by a method whose ranks hold [anchor, passing, block].

#include "cuda/benchmarks/layer_marks.hpp"
#include "cuda/prefill.hpp"

namespace apb::cuda {

/// A rank with random activations, the same at the same position of the document whichever rank has
/// them, and random entries where its partners' arrive; run as often as wanted, always on the same
/// inputs.
class BlockLayer {
 public:
  /// \param config       made by method_config
  /// \param communicator of this rank; AbsentPartners times it by itself. Must outlive this
  /// \param model        of one layer; must outlive this
  /// \throws CudaError if there is not enough memory
  BlockLayer(Method method, ApbConfig config, DeviceCommunicator& communicator,
             const DeviceModel<Bfloat16>& model);

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
  [[nodiscard]] const std::vector<Index>& positions() const { return positions_; }
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const { return room_; }
  [[nodiscard]] const PassingRoom<Bfloat16>& passing() const { return passing_; }
  [[nodiscard]] const KeptOfLayer& kept() const { return kept_; }

 private:
  Method method_;
  ApbConfig config_;
  BlockLayout layouts_;
  const DeviceModel<Bfloat16>& model_;
  GpuRank rank_;
  std::vector<Index> positions_;
  LayerRoom<Bfloat16> room_;
  PassingRoom<Bfloat16> passing_;
  KeptOfLayer kept_;
};

}  // namespace apb::cuda
