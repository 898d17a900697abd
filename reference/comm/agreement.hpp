#pragma once
/// \file
/// How the processes of a run that a user's own launcher started find out whether all can take
/// part. Each reads its input before MPI starts, and one alone may fail: its node lacks a file. If
/// it just ended, the others would wait for it in MPI for ever.

#include <functional>
#include <string>

#include "reference/core/communicator.hpp"
#include "reference/core/error.hpp"

namespace apb {

/// Why a process cannot take part in a run.
struct Failure {
  ExitStatus status = ExitStatus::kRight;  ///< kRight: it can
  std::string line{};                      ///< what the user reads; empty: has been said already
};

/// Tells all ranks of each other's failures. Each line is said once, by the lowest rank that has
/// it, and all are said before any rank returns: a launcher may end the others when one has ended.
/// Collective.
/// \param say what to do with a line
/// \returns the status of the lowest rank that failed, the same on all ranks; kRight: nobody did
[[nodiscard]] ExitStatus agree(Communicator& world, const Failure& own,
                               const std::function<void(const std::string&)>& say);

}  // namespace apb
