#include "cuda/comm/device_communicator.hpp"

namespace apb::cuda {

void DeviceCommunicator::all_gather(const void* mine, void* all, std::size_t bytes,
                                    cudaStream_t stream) {
  if (bytes == 0) return;
  do_all_gather(mine, all, bytes, stream);
  const auto others = static_cast<std::int64_t>(bytes) * (num_ranks() - 1);
  bytes_received_ += others;
  bytes_sent_ += others;
}

void DeviceCommunicator::send(int from, int to, void* data, std::size_t bytes,
                              cudaStream_t stream) {
  if (bytes == 0) return;
  if (rank() == from) {
    do_send(to, data, bytes, stream);
    bytes_sent_ += static_cast<std::int64_t>(bytes);
  } else {
    do_receive(from, data, bytes, stream);
    bytes_received_ += static_cast<std::int64_t>(bytes);
  }
}

}  // namespace apb::cuda
