#include "cuda/decode/merge_partials.hpp"

#include "cuda/decode/merge_kernel.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {

template <class Out>
void merge_partials(const float* parts, Index num_parts, const PartialShape& shape, Out* out,
                    float* lse, cudaStream_t stream) {
  if (num_parts < 1 || num_parts > kMaxParts) {
    throw BadInput("cuda merge", "parts", num_parts, fmt::format("1 to {}", kMaxParts));
  }
  if (shape.head_dim < 1 || shape.head_dim > 1024) {
    throw BadInput("cuda merge", "head_dim", shape.head_dim, "1 to 1024");
  }
  constexpr Index kMost = (Index{1} << 31) - 1;
  const Index pairs = shape.rows * shape.num_q_heads;
  if (shape.rows < 0 || shape.num_q_heads < 0 || pairs > kMost) {
    throw BadInput("cuda merge", "rows and heads", pairs, fmt::format("0 to {}", kMost));
  }
  if (pairs > 0) launch_merge(parts, num_parts, shape, out, lse, stream);
}

template void merge_partials(const float*, Index, const PartialShape&, float*, float*,
                             cudaStream_t);
template void merge_partials(const float*, Index, const PartialShape&, Bfloat16*, float*,
                             cudaStream_t);
template void merge_partials(const float*, Index, const PartialShape&, Float16*, float*,
                             cudaStream_t);

}  // namespace apb::cuda
