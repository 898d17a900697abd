#pragma once
/// \file
/// One process per rank, over MPI. The only user of <mpi.h>.

#include <functional>
#include <memory>

#include "reference/core/communicator.hpp"

namespace apb {

/// Whether this process has begun an MpiSession, perhaps one that is over: there is no second.
[[nodiscard]] bool mpi_has_started();

/// MPI's lifetime: constructed at most once in a process that an MPI launcher started, finalised at
/// the end.
///
/// Waiting never spins when ranks outnumber cores: blocking MPI calls do, and would steal the cores
/// that other ranks compute on. A step of 4 ranks on 2 cores that could take 14 ms took 36 ms with
/// MPICH's blocking calls, and 17 ms with non-blocking ones, tested some twenty times, then with
/// sleeps of 50 us between.
class MpiSession {
 public:
  static constexpr int kMostBytesAtOnce = 1 << 30;

  /// \param most_bytes_at_once messages may be longer: they are sent in pieces of this size
  explicit MpiSession(int most_bytes_at_once = kMostBytesAtOnce);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;
  MpiSession(MpiSession&&) = delete;
  MpiSession& operator=(MpiSession&&) = delete;

  /// All processes of the run.
  [[nodiscard]] Communicator& world() { return *world_; }

  /// Ranks of this run that share this machine.
  [[nodiscard]] int ranks_on_node() const { return ranks_on_node_; }

  /// Cores of this machine that these ranks may keep busy together.
  [[nodiscard]] int cores_of_node() const { return cores_of_node_; }

  /// Ends all ranks at once, for a rank that cannot go on. Does not return.
  [[noreturn]] void abort(int exit_status);

 private:
  int ranks_on_node_ = 1;
  int cores_of_node_ = 1;
  std::unique_ptr<Communicator> world_;
};

}  // namespace apb
