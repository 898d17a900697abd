#include "cuda/benchmarks/block_layer.hpp"

#include "cuda/benchmarks/document_rows.hpp"
#include "cuda/benchmarks/random_values.hpp"

namespace apb::cuda {
namespace {

std::vector<Index> positions_of(const RankLayout& layout) {
  std::vector<Index> positions;
  for (Index row = 0; row < layout.rows(); ++row) positions.push_back(layout.position(row));
  return positions;
}

}  // namespace

BlockLayer::BlockLayer(Method method, ApbConfig config, DeviceCommunicator& communicator,
                       const DeviceModel<Bfloat16>& model)
    : method_(method),
      config_(std::move(config)),
      layouts_(method_layout(method, config_)),
      model_(model),
      rank_{config_, layouts_, communicator},
      positions_(positions_of(layout())),
      room_(model.shape, positions_, rank_.stream.get()),
      passing_(rank_, model.retaining_hidden),
      kept_(kept_of_layer(rank_)) {
  fill_normal(passing_.gathered.data(), static_cast<Index>(passing_.gathered.size()), 1, 5,
              rank_.stream.get());
}

void BlockLayer::fill_inputs() {
  fill_document_rows(room_.hidden_rows(), positions_, rank_.stream.get());
}

LayerRun BlockLayer::run(const std::function<void(cudaStream_t)>& before) {
  const cudaStream_t stream = rank_.stream.get();
  fill_inputs();
  before(stream);
  LayerMarks marks(stream);
  rank_.on_part = [&](LayerPart part) { marks.done(part); };
  prefill_layer(rank_, model_, 0, room_, passing_, kept_);
  rank_.on_part = {};
  rank_.stream.synchronize();
  return marks.run();
}

}  // namespace apb::cuda
