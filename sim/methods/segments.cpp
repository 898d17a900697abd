#include "sim/methods/segments.hpp"

namespace apb::sim {
namespace {

/// A merge of two partial results of `rows` rows: reads both, writes one.
void merge(PlanBuilder& builder, int rank, Index rows) {
  builder.stream(rank, Part::kAttention, 3 * builder.bytes(rows, builder.out_width()));
}

}  // namespace

void attend_own(PlanBuilder& builder, int rank, const Segments& segments) {
  const auto& [anchor_rows, anchor_keys, block_rows, passing_keys] = segments;
  if (anchor_rows > 0) {
    builder.attend(rank, anchor_rows, causal_pairs(anchor_rows), anchor_rows, MaskKind::kCausal);
  }
  builder.attend(rank, block_rows, causal_pairs(block_rows), block_rows, MaskKind::kCausal);
  if (anchor_keys > 0 && block_rows > 0) {
    builder.attend(rank, block_rows, block_rows * anchor_keys, anchor_keys, MaskKind::kFull);
    merge(builder, rank, block_rows);
  }
}

void attend_passing(PlanBuilder& builder, int rank, const Segments& segments) {
  const auto& [anchor_rows, anchor_keys, block_rows, passing_keys] = segments;
  if (passing_keys == 0 || block_rows == 0) return;
  builder.attend(rank, block_rows, block_rows * passing_keys, passing_keys, MaskKind::kFull);
  merge(builder, rank, block_rows);
}

void attend_all(PlanBuilder& builder, int rank, const Segments& segments, SegmentStyle style) {
  const auto& [anchor_rows, anchor_keys, block_rows, passing_keys] = segments;
  const Index keys = anchor_keys + passing_keys + block_rows;
  if (style.copied && keys > block_rows) {
    builder.stream(rank, Part::kSelection, 2 * builder.key_value_bytes(keys));
  }
  const Index full_keys = anchor_keys + passing_keys;
  if (style.fused) {
    builder.attend(rank, anchor_rows + block_rows,
                   causal_pairs(anchor_rows) + causal_pairs(block_rows) + block_rows * full_keys,
                   keys, MaskKind::kCausal);
    return;
  }
  // Block against anchor and passing is one rectangle: one kernel on keys that lie together.
  attend_own(builder, rank, {anchor_rows, 0, block_rows, 0});
  attend_passing(builder, rank, {0, 0, block_rows, full_keys});
}

}  // namespace apb::sim
