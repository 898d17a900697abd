#include "cuda/selection/block_scores.hpp"

#include <algorithm>
#include <limits>

#include "cuda/selection/score_kernels.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

/// Kernels count rows in 32 bits, a warp or more a (row, head).
constexpr Index kMaxPairs = std::numeric_limits<int>::max() / 64;

void check_pairs(const char* where, Index rows, Index heads) {
  if (rows < 0 || heads < 1 || rows * heads > kMaxPairs) {
    throw BadInput(where, "rows x KV heads", fmt::format("{} x {}", rows, heads),
                   fmt::format("at most {}, with at least one head", kMaxPairs));
  }
}

}  // namespace

template <class T>
void retaining_head_scores(MatrixProducts& products, const DeviceRetainingHead<T>& head,
                           const DeviceRows<const T>& features, float* workspace, float* scores,
                           cudaStream_t stream) {
  constexpr const char* kWhere = "cuda retaining head";
  check_pairs(kWhere, features.rows, head.num_kv_heads);
  if (features.columns != head.inputs) {
    throw BadInput(kWhere, "inputs", features.columns, fmt::format("{}", head.inputs));
  }
  if (head.is_linear() != (head.hidden == 0) || head.hidden < 0) {
    throw BadInput(kWhere, "hidden", head.hidden, "at least 1 with fc2, 0 without");
  }
  for (Index begin = 0; begin < features.rows; begin += kRetainingRows) {
    const Index rows = std::min(kRetainingRows, features.rows - begin);
    float* out = scores + begin * head.num_kv_heads;
    const bool linear = head.is_linear();
    const Index outputs = linear ? head.num_kv_heads : head.hidden;
    products.enqueue<T, float>(
        {features.slice(begin, rows), head.fc1,
         DeviceRows<float>::dense(linear ? out : workspace, rows, outputs), nullptr, false},
        stream);
    if (!linear) launch_second_layer(head, workspace, rows, out, stream);
  }
}

template <class T>
void query_aware_scores(const DeviceHeads<const T>& score_query,
                        const DeviceHeads<const T>& block_key, float* mean_query, float* scores,
                        cudaStream_t stream) {
  constexpr const char* kWhere = "cuda query-aware scores";
  check_pairs(kWhere, block_key.rows, block_key.heads);
  if (score_query.rows < 1) {
    throw BadInput(kWhere, "query rows", score_query.rows, "at least 1");
  }
  if (score_query.heads < 1 || score_query.heads % block_key.heads != 0) {
    throw BadInput(kWhere, "query heads", score_query.heads,
                   fmt::format("a multiple of the KV heads ({})", block_key.heads));
  }
  if (score_query.head_dim != block_key.head_dim || block_key.head_dim < 1 ||
      block_key.head_dim > 1024) {
    throw BadInput(kWhere, "head_dim of query and keys",
                   fmt::format("{}, {}", score_query.head_dim, block_key.head_dim),
                   "the same, 1 to 1024");
  }
  if (block_key.rows == 0) return;
  launch_mean_query(score_query, block_key.heads, mean_query, stream);
  launch_query_aware(block_key, mean_query, scores, stream);
}

void query_free_scores(const QueryFreeBlock& block, float* scores, cudaStream_t stream) {
  check_pairs("cuda query-free scores", block.rows, block.num_kv_heads);
  if (block.compressor != Compressor::kRandom && block.compressor != Compressor::kRecent) {
    throw BadInput("cuda query-free scores", "compressor", to_string(block.compressor),
                   "random or recent");
  }
  if (block.rows > 0) launch_query_free(block, scores, stream);
}

template void retaining_head_scores(MatrixProducts&, const DeviceRetainingHead<Bfloat16>&,
                                    const DeviceRows<const Bfloat16>&, float*, float*,
                                    cudaStream_t);
template void retaining_head_scores(MatrixProducts&, const DeviceRetainingHead<Float16>&,
                                    const DeviceRows<const Float16>&, float*, float*, cudaStream_t);
template void query_aware_scores(const DeviceHeads<const Bfloat16>&,
                                 const DeviceHeads<const Bfloat16>&, float*, float*, cudaStream_t);
template void query_aware_scores(const DeviceHeads<const Float16>&,
                                 const DeviceHeads<const Float16>&, float*, float*, cudaStream_t);

}  // namespace apb::cuda
