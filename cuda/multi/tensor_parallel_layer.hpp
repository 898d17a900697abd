#pragma once
/// \file
/// Tensor parallelism (Megatron-LM, arXiv 1909.08053): every rank has all rows, and of each matrix
/// the part that belongs to its heads and feed-forward columns. What the ranks' parts give is added
/// up by two all-reduces a layer.

#include "cuda/attention/three_segments.hpp"
#include "cuda/multi/document_layer.hpp"

namespace apb::cuda {

/// One rank's part of a model.
/// \throws BadInput if heads or feed-forward columns cannot be dealt out equally
[[nodiscard]] DeviceModel<Bfloat16> tensor_parallel_part(const DeviceModel<Bfloat16>& whole,
                                                         int rank, int num_ranks,
                                                         cudaStream_t stream);

class TensorParallelLayer final : public DocumentLayer {
 public:
  /// \param part must outlive this
  TensorParallelLayer(const DeviceModel<Bfloat16>& part, Index doc_len, Partners& partners);
  void exchange(cudaStream_t stream) override;

 protected:
  void attend_rows(const OnPart& done) override;
  void finish(const OnPart& done) override;

 private:
  void feed_forward(const OnPart& done);
  void sum_over_ranks(cudaStream_t stream);
};

}  // namespace apb::cuda
