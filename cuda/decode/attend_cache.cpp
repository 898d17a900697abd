#include "cuda/decode/attend_cache.hpp"

#include <cmath>

#include "cuda/decode/cache_kernel.hpp"
#include "cuda/piece_checks.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

constexpr const char* kWhere = "cuda decode";

template <class T>
void check_problem(const CacheAttention<T>& problem) {
  const auto& [query, cache, softmax_scale, own_keys] = problem;
  const auto& [key, value] = cache;
  if (query.head_dim != 64 && query.head_dim != 128) {
    throw BadInput(kWhere, "head_dim", query.head_dim, "64 or 128");
  }
  if (key.heads < 1 || key.heads > 65535 || query.heads % key.heads != 0) {
    throw BadInput(kWhere, "KV heads", key.heads,
                   fmt::format("a divisor of the {} query heads", query.heads));
  }
  constexpr Index kMostKeys = kMaxParts * kPieceKeys;
  if (key.rows < 0 || key.rows > kMostKeys) {
    throw BadInput(kWhere, "keys", key.rows, fmt::format("0 to {}", kMostKeys));
  }
  if (key.head_dim != query.head_dim) {
    throw BadInput(kWhere, "key head_dim", key.head_dim, fmt::format("{}", query.head_dim));
  }
  if (value.rows != key.rows || value.heads != key.heads || value.head_dim != key.head_dim) {
    throw BadInput(kWhere, "value rows", value.rows, "shaped as the keys");
  }
  constexpr Index kMostRows = 1024;
  if (query.rows < 0 || query.rows > kMostRows) {
    throw BadInput(kWhere, "query rows", query.rows, fmt::format("0 to {}", kMostRows));
  }
  if (own_keys != 0 && (own_keys != query.rows || own_keys > key.rows)) {
    throw BadInput(
        kWhere, "own keys", own_keys,
        fmt::format("0, or as many as query rows ({}) if the cache holds them", query.rows));
  }
  if (!(softmax_scale > 0) || !std::isfinite(softmax_scale)) {
    throw BadInput(kWhere, "softmax_scale", softmax_scale, "positive and finite");
  }
  require_pieces_of_16_bytes(kWhere, "query", query);
  require_pieces_of_16_bytes(kWhere, "key", key);
  require_pieces_of_16_bytes(kWhere, "value", value);
}

}  // namespace

template <class T>
Index CacheAttention<T>::workspace_size() const {
  const Index pieces = num_pieces(cache.key.rows);
  return pieces == 1 ? 0 : pieces * shape().size();
}

template <class T>
void attend_cache(const CacheAttention<T>& problem, float* workspace, float* partial,
                  cudaStream_t stream) {
  check_problem(problem);
  const PartialShape shape = problem.shape();
  if (shape.size() == 0) return;
  const Index pieces = num_pieces(problem.cache.key.rows);
  float* partials = pieces == 1 ? partial : workspace;
  if (shape.head_dim == 64) {
    launch_cache_attention<T, 64>(problem, partials, stream);
  } else {
    launch_cache_attention<T, 128>(problem, partials, stream);
  }
  if (pieces > 1) {
    merge_partials(partials, pieces, shape, partial, partial + shape.out_size(), stream);
  }
}

template struct CacheAttention<Bfloat16>;
template struct CacheAttention<Float16>;
template void attend_cache(const CacheAttention<Bfloat16>&, float*, float*, cudaStream_t);
template void attend_cache(const CacheAttention<Float16>&, float*, float*, cudaStream_t);

}  // namespace apb::cuda
