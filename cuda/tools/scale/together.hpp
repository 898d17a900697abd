#pragma once
/// \file
/// What ranks of a measurement must decide together, because all of them make the same calls.

#include <algorithm>
#include <vector>

#include "reference/core/communicator.hpp"

namespace apb::cuda {

class Together {
 public:
  /// \param world must outlive this
  explicit Together(Communicator& world) : world_(world) {}
  [[nodiscard]] int rank() const { return world_.rank(); }
  [[nodiscard]] int num_ranks() const { return world_.num_ranks(); }
  [[nodiscard]] Communicator& world() const { return world_; }

  /// Every rank's values, [rank]. All give as many.
  template <class T>
  [[nodiscard]] std::vector<std::vector<T>> gather(const std::vector<T>& mine) const {
    const std::vector<std::size_t> counts(static_cast<std::size_t>(num_ranks()), mine.size());
    const std::vector<T> all = world_.all_gather<T>(mine, counts);
    std::vector<std::vector<T>> by_rank;
    for (auto next = all.begin(); next != all.end(); next += std::ssize(mine)) {
      by_rank.emplace_back(next, next + std::ssize(mine));
    }
    return by_rank;
  }
  [[nodiscard]] double most(double mine) const {
    double most = mine;
    for (const auto& its : gather<double>({mine})) most = std::max(most, its.front());
    return most;
  }
  [[nodiscard]] bool all(bool mine) const { return most(mine ? 0 : 1) == 0; }

 private:
  Communicator& world_;
};

}  // namespace apb::cuda
