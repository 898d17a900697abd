#pragma once
/// \file
/// DeepSpeed-Ulysses (arXiv 2309.14509): the ranks swap rows for heads, attend to the whole
/// document for a share of the heads, and swap back. Here queries, keys and values travel in one
/// all-to-all.

#include "cuda/attention/three_segments.hpp"
#include "cuda/multi/document_layer.hpp"

namespace apb::cuda {

class UlyssesLayer final : public DocumentLayer {
 public:
  /// \throws BadInput if the KV heads cannot be dealt out equally
  UlyssesLayer(const DeviceModel<Bfloat16>& model, const RankLayout& layout, Partners& partners);
  void exchange(cudaStream_t stream) override;
  /// It stays with the heads.
  [[nodiscard]] const float* lse() const override { return nullptr; }

 protected:
  void attend_rows(const OnPart& done) override;

 private:
  [[nodiscard]] Index ranks() const { return partners().num_ranks(); }
  [[nodiscard]] Index q_heads() const { return room().num_q_heads / ranks(); }
  [[nodiscard]] Index kv_heads() const { return room().num_kv_heads / ranks(); }
  [[nodiscard]] Index q_columns() const { return q_heads() * room().head_dim; }
  [[nodiscard]] Index kv_columns() const { return kv_heads() * room().head_dim; }
  /// Columns of one rank's heads: of queries, then keys, then values.
  [[nodiscard]] Index share() const { return q_columns() + 2 * kv_columns(); }
  void pack() const;
  void attend_heads() const;
  void unpack() const;
  void swap_to_heads(cudaStream_t stream);
  void swap_to_rows(cudaStream_t stream);

  Index doc_len_;
  DeviceBuffer<Bfloat16> send_;      ///< [receiving rank][rows, share]
  DeviceBuffer<Bfloat16> heads_;     ///< [doc_len, share]: all rows of the own heads
  DeviceBuffer<Bfloat16> out_;       ///< [doc_len, q_columns]
  DeviceBuffer<Bfloat16> out_back_;  ///< [sending rank][rows, q_columns]
  DeviceBuffer<float> lse_;          ///< [doc_len, q_heads]
};

}  // namespace apb::cuda
