#pragma once
/// \file
/// What layers of exact methods have in common: rows of the document, projected, attended to as the
/// method has it, finished.

#include "cuda/multi/method_layer.hpp"

namespace apb::cuda {

class DocumentLayer : public MethodLayer {
 public:
  LayerRun run(const std::function<void(cudaStream_t)>& before) final;
  [[nodiscard]] const LayerRoom<Bfloat16>& room() const final { return room_; }
  [[nodiscard]] const std::vector<Index>& positions() const final { return positions_; }

 protected:
  /// \param model that this rank computes with
  DocumentLayer(const DeviceModel<Bfloat16>& model, std::vector<Index> positions,
                Partners& partners);

  /// Enqueues the attention of the room's rows: queries, keys and values of these rows lie in the
  /// room, after RoPE; the result goes into room().out().
  virtual void attend_rows(const OnPart& done) = 0;
  /// Enqueues what comes after it.
  virtual void finish(const OnPart& done);

  [[nodiscard]] Partners& partners() const { return partners_; }
  [[nodiscard]] const DeviceModel<Bfloat16>& model() const { return model_; }
  [[nodiscard]] MatrixProducts& products() { return products_; }
  [[nodiscard]] cudaStream_t stream() const { return stream_.get(); }
  [[nodiscard]] double softmax_scale() const;

 private:
  const DeviceModel<Bfloat16>& model_;
  std::vector<Index> positions_;
  Partners& partners_;
  Stream stream_;
  MatrixProducts products_;
  LayerRoom<Bfloat16> room_;
};

/// Positions of the rows that a rank computes.
[[nodiscard]] std::vector<Index> positions_of(const RankLayout& layout);

}  // namespace apb::cuda
