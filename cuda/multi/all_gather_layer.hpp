#pragma once
/// \file
/// All-gather context parallelism in zigzag order, as SGLang and Megatron ship it: rank r holds
/// chunks r and 2H - 1 - r of the document, gathers all keys and values, then attends.

#include "cuda/attention/three_segments.hpp"
#include "cuda/multi/document_layer.hpp"

namespace apb::cuda {

class AllGatherLayer final : public DocumentLayer {
 public:
  AllGatherLayer(const DeviceModel<Bfloat16>& model, const RankLayout& layout, Partners& partners);
  void exchange(cudaStream_t stream) override;

 protected:
  void attend_rows(const OnPart& done) override;

 private:
  /// Rows of a chunk; all have as many.
  [[nodiscard]] Index chunk_rows() const { return room().rows / 2; }
  /// A chunk's keys and values, where the gather leaves them.
  [[nodiscard]] KeysAndValues<Bfloat16> gathered(Index chunk) const;
  void attend_chunk(Index chunk, Index first_row);

  DeviceBuffer<Bfloat16> own_;  ///< [key, value][rows, num_kv_heads, head_dim]
  DeviceBuffer<Bfloat16> all_;  ///< [num_ranks] of these
};

}  // namespace apb::cuda
