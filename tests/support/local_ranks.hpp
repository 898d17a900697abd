#pragma once
/// \file
/// Runs work on all ranks in this process and collects what each rank returns.

#include <vector>

#include "reference/comm/local_communicator.hpp"

namespace apb {

/// \param work called once per rank with its Communicator
/// \returns one result per rank
template <class Work>
auto on_local_ranks(int num_ranks, const Work& work) {
  using Result = std::invoke_result_t<Work, Communicator&>;
  std::vector<Result> results(static_cast<std::size_t>(num_ranks));
  run_local_ranks(num_ranks, 1, [&](Communicator& communicator) {
    results[static_cast<std::size_t>(communicator.rank())] = work(communicator);
  });
  return results;
}

}  // namespace apb
