#pragma once
/// \file
/// A rank's partners in a measurement.

#include "cuda/comm/nccl_communicator.hpp"

namespace apb::cuda {

/// The other ranks over NCCL. Silent ones take no time and bring nothing: what lies where they
/// would write is read. All ranks must agree on who is silent.
class Partners final : public DeviceCommunicator {
 public:
  /// \param nccl must outlive this
  explicit Partners(NcclCommunicator& nccl)
      : nccl_(nccl), mine_(kMeetBytes), all_(kMeetBytes * static_cast<std::size_t>(num_ranks())) {}

  [[nodiscard]] int rank() const override { return nccl_.rank(); }
  [[nodiscard]] int num_ranks() const override { return nccl_.num_ranks(); }
  [[nodiscard]] NcclCommunicator& nccl() const { return nccl_; }
  void set_silent(bool silent) { silent_ = silent; }

  /// Enqueues: nothing goes on before all ranks' streams have come here, silent or not.
  void meet(cudaStream_t stream) {
    nccl_.all_gather(mine_.data(), all_.data(), kMeetBytes, stream);
  }

  /// As NcclCommunicator.
  void all_to_all(const void* send, void* received, std::size_t bytes, cudaStream_t stream) {
    if (!silent_) nccl_.all_to_all(send, received, bytes, stream);
    const std::size_t others = bytes * static_cast<std::size_t>(num_ranks() - 1);
    count_bytes(others, others);
  }
  void pass_on(std::span<const NcclCommunicator::Passed> messages, cudaStream_t stream) {
    if (!silent_) nccl_.pass_on(messages, stream);
    for (const auto& message : messages) count_bytes(message.received_bytes, message.send_bytes);
  }
  /// Counted as a ring does it: each part of the sum is gathered and handed out again.
  void all_reduce(Bfloat16* values, std::size_t count, cudaStream_t stream) {
    if (!silent_) nccl_.all_reduce(values, count, stream);
    const auto ranks = static_cast<std::size_t>(num_ranks());
    const std::size_t passed = 2 * count * sizeof(Bfloat16) * (ranks - 1) / ranks;
    count_bytes(passed, passed);
  }

 protected:
  void do_all_gather(const void* mine, void* all, std::size_t bytes, cudaStream_t stream) override {
    if (!silent_) nccl_.all_gather(mine, all, bytes, stream);
  }
  void do_send(int to, const void* data, std::size_t bytes, cudaStream_t stream) override {
    // What is sent is only read.
    if (!silent_) nccl_.send(rank(), to, const_cast<void*>(data), bytes, stream);
  }
  void do_receive(int from, void* data, std::size_t bytes, cudaStream_t stream) override {
    if (!silent_) nccl_.send(from, rank(), data, bytes, stream);
  }

 private:
  static constexpr std::size_t kMeetBytes = 16;
  NcclCommunicator& nccl_;
  bool silent_ = false;
  DeviceBuffer<std::byte> mine_, all_;
};

}  // namespace apb::cuda
