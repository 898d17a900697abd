#include "cuda/comm/nccl_communicator.hpp"

#include <cstdlib>
#include <exception>

#include "cuda/comm/check_nccl.hpp"

namespace apb::cuda {

NcclCommunicator::NcclCommunicator(Communicator& world)
    : rank_(world.rank()), num_ranks_(world.num_ranks()) {
  ncclUniqueId id{};
  if (rank_ == 0) check_nccl(ncclGetUniqueId(&id));
  world.broadcast<char>(0, id.internal);
  ncclComm_t made = nullptr;
  check_nccl(ncclCommInitRank(&made, num_ranks_, id, rank_));
  nccl_.reset(made);
}

void NcclCommunicator::all_to_all(const void* send, void* received, std::size_t bytes,
                                  cudaStream_t stream) {
  NcclGroup group;
  for (int other = 0; other < num_ranks_; ++other) {
    const std::size_t at = static_cast<std::size_t>(other) * bytes;
    check_nccl(
        ncclSend(static_cast<const std::byte*>(send) + at, bytes, ncclInt8, other, get(), stream));
    check_nccl(
        ncclRecv(static_cast<std::byte*>(received) + at, bytes, ncclInt8, other, get(), stream));
  }
  group.end();
}

void NcclCommunicator::pass_on(std::span<const Passed> messages, cudaStream_t stream) {
  const int next = (rank_ + 1) % num_ranks_, before = (rank_ + num_ranks_ - 1) % num_ranks_;
  NcclGroup group;
  for (const Passed& message : messages) {
    check_nccl(ncclSend(message.send, message.send_bytes, ncclInt8, next, get(), stream));
    check_nccl(ncclRecv(message.received, message.received_bytes, ncclInt8, before, get(), stream));
  }
  group.end();
}

void NcclCommunicator::all_reduce(Bfloat16* values, std::size_t count, cudaStream_t stream) {
  check_nccl(ncclAllReduce(values, values, count, ncclBfloat16, ncclSum, get(), stream));
}

void NcclCommunicator::do_all_gather(const void* mine, void* all, std::size_t bytes,
                                     cudaStream_t stream) {
  check_nccl(ncclAllGather(mine, all, bytes, ncclInt8, get(), stream));
}

void NcclCommunicator::do_send(int to, const void* data, std::size_t bytes, cudaStream_t stream) {
  check_nccl(ncclSend(data, bytes, ncclInt8, to, get(), stream));
}

void NcclCommunicator::do_receive(int from, void* data, std::size_t bytes, cudaStream_t stream) {
  check_nccl(ncclRecv(data, bytes, ncclInt8, from, get(), stream));
}

// In a rank that fails, exchanges may be under way that the others will never take part in:
// destroying would wait for them.
void NcclCommunicator::Destroy::operator()(ncclComm* communicator) const {
  if (std::uncaught_exceptions() > 0) {
    ncclCommAbort(communicator);
  } else {
    ncclCommDestroy(communicator);
  }
}

std::unique_ptr<NcclCommunicator> nccl_communicator(Communicator& world) {
  // NCCL reads its settings once; what the user has set stays.
  setenv("NCCL_NVLS_ENABLE", "0", 0);
  return std::make_unique<NcclCommunicator>(world);
}

}  // namespace apb::cuda
