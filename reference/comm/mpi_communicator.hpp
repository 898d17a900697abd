#pragma once
/// \file
/// One process per rank, over MPI. The only user of <mpi.h>.

#include <functional>
#include <memory>

#include "reference/core/communicator.hpp"

namespace apb {

/// MPI's lifetime: constructed once in main of a process that a launcher started, finalised at the
/// end.
///
/// Waiting never spins when ranks outnumber cores: blocking MPI calls do, and would steal the cores
/// that other ranks compute on. A step of 4 ranks on 2 cores that could take 14 ms took 36 ms with
/// MPICH's blocking calls, and 17 ms with non-blocking ones, tested some twenty times, then with
/// sleeps of 50 us between.
class MpiSession {
 public:
  MpiSession();
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  MpiSession(MpiSession&&) = delete;
  MpiSession& operator=(MpiSession&&) = delete;

  /// All processes of the run.
  [[nodiscard]] Communicator& world() { return *world_; }

  /// Ranks of this run that share this machine.
  [[nodiscard]] int ranks_on_node() const { return ranks_on_node_; }

  /// Ends all ranks at once, for a rank that cannot go on. Does not return.
  [[noreturn]] void abort(int exit_status);

 private:
  int ranks_on_node_ = 1;
  std::unique_ptr<Communicator> world_;
};

}  // namespace apb
