#pragma once
/// \file
/// What ranks need from each other on the GPU. A prefill is written once against this interface and
/// runs with all ranks on one GPU in one process (loopback.hpp) or with a process and a GPU a rank
/// (nccl_communicator.hpp).
///
/// Every call is collective unless said otherwise: all ranks make the same calls in the same order,
/// with the same sizes.

#include <cuda_runtime_api.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "cuda/device_buffer.hpp"

namespace apb::cuda {

class DeviceCommunicator {
 public:
  DeviceCommunicator() = default;
  DeviceCommunicator(const DeviceCommunicator&) = delete;
  DeviceCommunicator& operator=(const DeviceCommunicator&) = delete;
  DeviceCommunicator(DeviceCommunicator&&) = delete;
  DeviceCommunicator& operator=(DeviceCommunicator&&) = delete;
  virtual ~DeviceCommunicator() = default;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int num_ranks() const = 0;

  /// Enqueues: every rank's bytes arrive at every rank, ranks ascending.
  /// \param mine  [bytes], device memory
  /// \param all   [num_ranks, bytes], device memory, apart from `mine`
  /// \throws LibraryError, CudaError
  void all_gather(const void* mine, void* all, std::size_t bytes, cudaStream_t stream);

  /// Enqueues: `bytes` of rank `from` arrive at rank `to`. Only these two call it.
  /// \param data device memory: what is sent, or where it arrives
  /// \throws LibraryError, CudaError
  void send(int from, int to, void* data, std::size_t bytes, cudaStream_t stream);

  /// Values in host memory from all ranks, ranks ascending; the same number from each. Waits for
  /// the stream.
  template <class T>
  [[nodiscard]] std::vector<T> all_gather_values(const std::vector<T>& mine, cudaStream_t stream);

  /// Payload received and sent by this rank so far (one copy per receiver).
  [[nodiscard]] std::int64_t bytes_received() const { return bytes_received_; }
  [[nodiscard]] std::int64_t bytes_sent() const { return bytes_sent_; }

 protected:
  virtual void do_all_gather(const void* mine, void* all, std::size_t bytes,
                             cudaStream_t stream) = 0;
  virtual void do_send(int to, const void* data, std::size_t bytes, cudaStream_t stream) = 0;
  virtual void do_receive(int from, void* data, std::size_t bytes, cudaStream_t stream) = 0;

  /// For exchanges of a derived class's own.
  void count_bytes(std::size_t received, std::size_t sent) {
    bytes_received_ += static_cast<std::int64_t>(received);
    bytes_sent_ += static_cast<std::int64_t>(sent);
  }

 private:
  std::int64_t bytes_received_ = 0;
  std::int64_t bytes_sent_ = 0;
};

template <class T>
std::vector<T> DeviceCommunicator::all_gather_values(const std::vector<T>& mine,
                                                     cudaStream_t stream) {
  const DeviceBuffer<T> own = to_device(mine, stream);
  const DeviceBuffer<T> all(mine.size() * static_cast<std::size_t>(num_ranks()));
  all_gather(own.data(), all.data(), mine.size() * sizeof(T), stream);
  return to_host(all, stream);
}

}  // namespace apb::cuda
