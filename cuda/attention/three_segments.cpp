#include "cuda/attention/three_segments.hpp"

#include <cmath>
#include <limits>

#include "cuda/attention/kernel_arguments.hpp"
#include "cuda/piece_checks.hpp"
#include "reference/core/error.hpp"

namespace apb::cuda {
namespace {

constexpr const char* kWhere = "cuda attention";
/// The kernel counts rows of a part in 32 bits; tiles stay clear of the end.
constexpr Index kMaxRows = std::numeric_limits<int>::max() - kTileQ;

/// Shapes that all parts of a problem share.
struct SharedShape {
  Index num_q_heads, num_kv_heads, head_dim;
};

/// \throws BadInput unless rows of this tensor can be copied in pieces of 16 bytes
template <class T>
void check_tensor(const char* name, const DeviceHeads<T>& tensor, Index heads, Index head_dim) {
  if (tensor.rows == 0) return;
  if (tensor.rows < 0 || tensor.rows > kMaxRows) {
    throw BadInput(kWhere, fmt::format("{} rows", name), tensor.rows,
                   fmt::format("0 to {}", kMaxRows));
  }
  if (tensor.heads != heads) {
    throw BadInput(kWhere, fmt::format("{} heads", name), tensor.heads, fmt::format("{}", heads));
  }
  if (tensor.head_dim != head_dim) {
    throw BadInput(kWhere, fmt::format("{} head_dim", name), tensor.head_dim,
                   fmt::format("{}", head_dim));
  }
  require_pieces_of_16_bytes(kWhere, name, tensor);
}

template <class T>
void check_keys(const char* name, const KeysAndValues<T>& part, const SharedShape& shape) {
  check_tensor(fmt::format("{} key", name).c_str(), part.key, shape.num_kv_heads, shape.head_dim);
  check_tensor(fmt::format("{} value", name).c_str(), part.value, shape.num_kv_heads,
               shape.head_dim);
  if (part.value.rows != part.key.rows) {
    throw BadInput(kWhere, fmt::format("{} value rows", name), part.value.rows,
                   fmt::format("{}, as many as keys", part.key.rows));
  }
}

template <class T>
void check_rows(const char* name, const QueryRows<T>& part, const SharedShape& shape) {
  check_tensor(fmt::format("{} query", name).c_str(), part.query, shape.num_q_heads,
               shape.head_dim);
  check_tensor(fmt::format("{} out", name).c_str(), part.out, shape.num_q_heads, shape.head_dim);
  if (part.out.rows != part.query.rows) {
    throw BadInput(kWhere, fmt::format("{} out rows", name), part.out.rows,
                   fmt::format("{}, as many as query rows", part.query.rows));
  }
  if (part.query.rows > 0 && part.lse == nullptr) {
    throw BadInput(kWhere, fmt::format("{} lse", name), "null", "given");
  }
}

/// Heads and head_dim, from the first part that is not empty.
template <class T>
SharedShape shared_shape(const ThreeSegments<T>& problem) {
  SharedShape shape{0, 0, 0};
  for (const QueryRows<T>* part : {&problem.block_rows, &problem.anchor_rows}) {
    if (part->query.rows != 0)
      shape = {part->query.heads, shape.num_kv_heads, part->query.head_dim};
  }
  shape.num_kv_heads = shape.num_q_heads;  // of a problem without keys
  for (const KeysAndValues<T>& slice : problem.passing) {
    if (slice.key.rows != 0) shape.num_kv_heads = slice.key.heads;
  }
  for (const KeysAndValues<T>* part : {&problem.anchor, &problem.block}) {
    if (part->key.rows != 0) shape.num_kv_heads = part->key.heads;
  }
  return shape;
}

template <class T>
SharedShape check_problem(const ThreeSegments<T>& problem) {
  const SharedShape shape = shared_shape(problem);
  if (shape.head_dim != 64 && shape.head_dim != 128) {
    throw BadInput(kWhere, "head_dim", shape.head_dim, "64 or 128");
  }
  if (shape.num_kv_heads < 1 || shape.num_q_heads % shape.num_kv_heads != 0) {
    throw BadInput(kWhere, "query heads", shape.num_q_heads,
                   fmt::format("a multiple of the {} KV heads", shape.num_kv_heads));
  }
  if (!(problem.softmax_scale > 0) || !std::isfinite(problem.softmax_scale)) {
    throw BadInput(kWhere, "softmax_scale", problem.softmax_scale, "positive and finite");
  }
  if (std::ssize(problem.passing) > kMaxPassingSlices) {
    throw BadInput(kWhere, "passing slices", problem.passing.size(),
                   fmt::format("at most {}", kMaxPassingSlices));
  }
  check_rows("anchor", problem.anchor_rows, shape);
  check_rows("block", problem.block_rows, shape);
  check_keys("anchor", problem.anchor, shape);
  check_keys("block", problem.block, shape);
  for (const KeysAndValues<T>& slice : problem.passing) check_keys("passing", slice, shape);
  const Index anchor_rows = problem.anchor_rows.query.rows;
  if (anchor_rows != 0 && anchor_rows != problem.anchor.key.rows) {
    throw BadInput(kWhere, "anchor query rows", anchor_rows,
                   fmt::format("0 or {}, as many as keys", problem.anchor.key.rows));
  }
  const Index block_keys = problem.block.key.rows;
  if (block_keys != 0 && block_keys != problem.block_rows.query.rows) {
    throw BadInput(kWhere, "block keys", block_keys,
                   fmt::format("0 or {}, as many as query rows", problem.block_rows.query.rows));
  }
  return shape;
}

template <class T>
KernelRows<T> kernel_rows(const QueryRows<T>& part, int first_segment, int end_segment) {
  return {part.query.data,
          part.out.data,
          part.lse,
          part.query.row_stride,
          part.query.head_stride,
          part.out.row_stride,
          part.out.head_stride,
          static_cast<int>(part.query.rows),
          static_cast<int>((part.query.rows + kTileQ - 1) / kTileQ),
          first_segment,
          end_segment};
}

template <class T>
KernelKeys<T> kernel_keys(const KeysAndValues<T>& part) {
  return {part.key.data,
          part.value.data,
          part.key.row_stride,
          part.key.head_stride,
          part.value.row_stride,
          part.value.head_stride,
          static_cast<int>(part.key.rows)};
}

}  // namespace

template <class T>
void attend(const ThreeSegments<T>& problem, cudaStream_t stream) {
  if (problem.anchor_rows.query.rows == 0 && problem.block_rows.query.rows == 0) return;
  const SharedShape shape = check_problem(problem);

  KernelArguments<T> arguments{};
  int num_segments = 0;
  const auto add = [&](const KeysAndValues<T>& part) {
    arguments.segments[num_segments++] = kernel_keys(part);
  };
  add(problem.block);
  add(problem.anchor);
  for (const KeysAndValues<T>& slice : problem.passing) add(slice);
  arguments.block = kernel_rows(problem.block_rows, 0, num_segments);
  arguments.anchor = kernel_rows(problem.anchor_rows, 1, 2);
  arguments.num_q_heads = static_cast<int>(shape.num_q_heads);
  arguments.group_size = static_cast<int>(shape.num_q_heads / shape.num_kv_heads);
  arguments.softmax_scale = static_cast<float>(problem.softmax_scale);

  const Index blocks = (Index{arguments.block.tiles} + arguments.anchor.tiles) * shape.num_q_heads;
  if (blocks > std::numeric_limits<int>::max()) {
    throw BadInput(kWhere, "query tiles of all heads", blocks,
                   fmt::format("at most {}", std::numeric_limits<int>::max()));
  }
  if (shape.head_dim == 64) {
    launch_attention<T, 64>(arguments, stream);
  } else {
    launch_attention<T, 128>(arguments, stream);
  }
}

template void attend(const ThreeSegments<Bfloat16>&, cudaStream_t);
template void attend(const ThreeSegments<Float16>&, cudaStream_t);

}  // namespace apb::cuda
