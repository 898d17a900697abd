#include "cuda/tools/bench/measure_machine.hpp"

#include "cuda/tools/bench/measure.hpp"
#include "cuda/tools/bench/torch_peer.hpp"

namespace apb::cuda {
namespace {

/// The products of a layer, at rows from few to many.
std::vector<ProductShape> product_shapes(const ModelShape& shape) {
  const Index queries = shape.num_q_heads * shape.head_dim;
  const Index qkv = queries + 2 * shape.num_kv_heads * shape.head_dim;
  std::vector<ProductShape> shapes;
  for (const Index rows : {1024, 2048, 4096, 8192, 16384, 32768}) {
    shapes.push_back({rows, qkv, shape.hidden_size});
    shapes.push_back({rows, shape.hidden_size, queries});
    if (rows > 8192) continue;  // the feed-forward network runs in chunks of so many
    shapes.push_back({rows, 2 * shape.intermediate_size, shape.hidden_size});
    shapes.push_back({rows, shape.hidden_size, shape.intermediate_size});
    shapes.push_back({rows, kRetainingHidden, qkv});
  }
  return shapes;
}

/// Causal squares, and rows over keys that all of them see.
std::vector<AttentionShape> attention_shapes(const ModelShape& shape) {
  std::vector<AttentionShape> shapes;
  const auto add = [&](bool causal, Index q_len, Index kv_len) {
    shapes.push_back(
        {causal, q_len, kv_len, shape.num_q_heads, shape.num_kv_heads, shape.head_dim});
  };
  for (Index rows = 1024; rows <= 131072; rows *= 2) add(true, rows, rows);
  for (const Index keys : {1024, 4096, 18432, 65536}) add(false, 4096, keys);
  for (const Index keys : {4096, 18432, 65536}) add(false, 16384, keys);
  return shapes;
}

}  // namespace

void measure_machine(const std::vector<ModelShape>& models, BenchResults& results,
                     const Announcer& announce) {
  const Stream stream;
  for (const ModelShape& model : models) {
    announce(fmt::format("products of {}", model.name));
    for (const ProductShape& shape : product_shapes(model)) {
      results.products.push_back({shape, time_product(shape, stream)});
    }
  }
  announce(fmt::format("attention with the heads of {}", models.front().name));
  for (const AttentionShape& shape : attention_shapes(models.front())) {
    results.attention.push_back({kOwnBackend, shape, time_attention(shape, stream).median_s});
  }
}

void measure_peer(const std::string& python, BenchResults& results) {
  std::vector<AttentionShape> shapes;
  for (const AttentionTime& time : results.attention) shapes.push_back(time.shape);
  const std::size_t of_machine = shapes.size();
  for (const LengthTimes& times : results.lengths) shapes.push_back(times.full_attention);
  const PeerTimes peer = time_by_torch(python, shapes);
  results.peer = peer.peer;
  results.no_peer = peer.why_not;
  for (std::size_t i = 0; i < peer.seconds.size(); ++i) {
    if (i >= of_machine) {
      results.lengths[i - of_machine].peer_s = peer.seconds[i];
    } else if (peer.seconds[i]) {
      results.attention.push_back({"cudnn", shapes[i], *peer.seconds[i]});
    }
  }
}

}  // namespace apb::cuda
