#include "cuda/comm/nccl_communicator.hpp"

#include <nccl.h>

#include <cstdlib>
#include <exception>
#include <type_traits>

#include "cuda/error.hpp"

namespace apb::cuda {
namespace {

void check_nccl(ncclResult_t status,
                const std::source_location& where = std::source_location::current()) {
  if (status == ncclSuccess) return;
  throw LibraryError(
      "NCCL", fmt::format("{} ({})", ncclGetErrorString(status), ncclGetLastError(nullptr)), where);
}

class NcclCommunicator final : public DeviceCommunicator {
 public:
  explicit NcclCommunicator(Communicator& world)
      : rank_(world.rank()), num_ranks_(world.num_ranks()) {
    ncclUniqueId id{};
    if (rank_ == 0) check_nccl(ncclGetUniqueId(&id));
    world.broadcast<char>(0, id.internal);
    ncclComm_t made = nullptr;
    check_nccl(ncclCommInitRank(&made, num_ranks_, id, rank_));
    nccl_.reset(made);
  }

  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int num_ranks() const override { return num_ranks_; }

 protected:
  void do_all_gather(const void* mine, void* all, std::size_t bytes, cudaStream_t stream) override {
    check_nccl(ncclAllGather(mine, all, bytes, ncclInt8, nccl_.get(), stream));
  }
  void do_send(int to, const void* data, std::size_t bytes, cudaStream_t stream) override {
    check_nccl(ncclSend(data, bytes, ncclInt8, to, nccl_.get(), stream));
  }
  void do_receive(int from, void* data, std::size_t bytes, cudaStream_t stream) override {
    check_nccl(ncclRecv(data, bytes, ncclInt8, from, nccl_.get(), stream));
  }

 private:
  /// In a rank that fails, exchanges may be under way that the others will never take part in:
  /// destroying would wait for them.
  struct Destroy {
    void operator()(ncclComm_t communicator) const {
      if (std::uncaught_exceptions() > 0) {
        ncclCommAbort(communicator);
      } else {
        ncclCommDestroy(communicator);
      }
    }
  };
  int rank_, num_ranks_;
  std::unique_ptr<std::remove_pointer_t<ncclComm_t>, Destroy> nccl_;
};

}  // namespace

std::unique_ptr<DeviceCommunicator> nccl_communicator(Communicator& world) {
  // NCCL reads its settings once; what the user has set stays.
  setenv("NCCL_NVLS_ENABLE", "0", 0);
  return std::make_unique<NcclCommunicator>(world);
}

}  // namespace apb::cuda
