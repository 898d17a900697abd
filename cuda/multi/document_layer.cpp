#include "cuda/multi/document_layer.hpp"

#include <cmath>

#include "cuda/benchmarks/document_rows.hpp"

namespace apb::cuda {

DocumentLayer::DocumentLayer(const DeviceModel<Bfloat16>& model, std::vector<Index> positions,
                             Partners& partners)
    : model_(model),
      positions_(std::move(positions)),
      partners_(partners),
      room_(model.shape, positions_, stream_.get()) {}

double DocumentLayer::softmax_scale() const {
  return 1 / std::sqrt(static_cast<double>(room_.head_dim));
}

void DocumentLayer::finish(const OnPart& done) {
  finish_layer(model_, 0, room_, products_, stream(), done);
}

LayerRun DocumentLayer::run(const std::function<void(cudaStream_t)>& before) {
  fill_document_rows(room_.hidden_rows(), positions_, stream());
  before(stream());
  LayerMarks marks(stream());
  const OnPart done = [&](LayerPart part) { marks.done(part); };
  project_qkv(model_, 0, room_, products_, stream(), done);
  rotate(room_, stream());
  done(LayerPart::kRope);
  attend_rows(done);
  finish(done);
  stream_.synchronize();
  return marks.run();
}

std::vector<Index> positions_of(const RankLayout& layout) {
  std::vector<Index> positions;
  for (Index row = 0; row < layout.rows(); ++row) positions.push_back(layout.position(row));
  return positions;
}

}  // namespace apb::cuda
