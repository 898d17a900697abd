#pragma once
/// \file
/// One rank of several, timed by itself.

#include "cuda/comm/device_communicator.hpp"

namespace apb::cuda {

/// A rank whose partners are not there: what they would send is what lies there already, and
/// exchanges take no time.
class AbsentPartners final : public DeviceCommunicator {
 public:
  AbsentPartners(int rank, int num_ranks) : rank_(rank), num_ranks_(num_ranks) {}
  [[nodiscard]] int rank() const override { return rank_; }
  [[nodiscard]] int num_ranks() const override { return num_ranks_; }

 protected:
  void do_all_gather(const void* /*mine*/, void* /*all*/, std::size_t /*bytes*/,
                     cudaStream_t /*stream*/) override {}
  void do_send(int /*to*/, const void* /*data*/, std::size_t /*bytes*/,
               cudaStream_t /*stream*/) override {}
  void do_receive(int /*from*/, void* /*data*/, std::size_t /*bytes*/,
                  cudaStream_t /*stream*/) override {}

 private:
  int rank_, num_ranks_;
};

}  // namespace apb::cuda
