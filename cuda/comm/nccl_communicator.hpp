#pragma once
/// \file
/// A process a rank, exchanging by NCCL.

#include <memory>
#include <span>

#include "cuda/comm/device_communicator.hpp"
#include "cuda/device_heads.hpp"
#include "reference/core/communicator.hpp"

struct ncclComm;

namespace apb::cuda {

/// Beside what every communicator does, the exchanges of the methods that APB is compared with.
class NcclCommunicator final : public DeviceCommunicator {
 public:
  /// Collective. \param world as nccl_communicator has it
  explicit NcclCommunicator(Communicator& world);
  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int num_ranks() const override { return num_ranks_; }
  /// NCCL's own handle, for what is measured of it.
  [[nodiscard]] ncclComm* get() const { return nccl_.get(); }

  /// Enqueues: rank r receives the r-th `bytes` of what each rank sends, senders ascending.
  /// \param send,received [num_ranks, bytes], device memory, apart
  void all_to_all(const void* send, void* received, std::size_t bytes, cudaStream_t stream);

  /// One message to a rank and one from another.
  struct Passed {
    const void* send;
    std::size_t send_bytes;
    void* received;
    std::size_t received_bytes;
  };
  /// Enqueues: every message goes to the next rank, and one comes from the rank before, around the
  /// ring. The messages of a call travel together.
  void pass_on(std::span<const Passed> messages, cudaStream_t stream);

  /// Enqueues: values = their sum over all ranks, rounded to bf16 (at two ranks once).
  void all_reduce(Bfloat16* values, std::size_t count, cudaStream_t stream);

 protected:
  void do_all_gather(const void* mine, void* all, std::size_t bytes, cudaStream_t stream) override;
  void do_send(int to, const void* data, std::size_t bytes, cudaStream_t stream) override;
  void do_receive(int from, void* data, std::size_t bytes, cudaStream_t stream) override;

 private:
  struct Destroy {
    void operator()(ncclComm* communicator) const;
  };
  int rank_, num_ranks_;
  std::unique_ptr<ncclComm, Destroy> nccl_;
};

/// Joins this process, and the GPU that is current in it, to all others of `world`. Rank 0's unique
/// id reaches them by a broadcast of `world`; ranks are the same. Collective.
///
/// NVLink multicast is left off unless NCCL_NVLS_ENABLE says otherwise. Ranks that share a GPU need
/// an NCCL_HOSTID each.
/// \throws LibraryError with NCCL's words
[[nodiscard]] std::unique_ptr<NcclCommunicator> nccl_communicator(Communicator& world);

}  // namespace apb::cuda
