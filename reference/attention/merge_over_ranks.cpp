#include "reference/attention/merge_over_ranks.hpp"

#include <algorithm>

#include "reference/attention/merge.hpp"

namespace apb {

template <class Scalar>
AttentionPartial<Scalar> merge_over_ranks(const AttentionPartial<Scalar>& mine,
                                          Communicator& communicator) {
  if (communicator.num_ranks() == 1 || mine.out.rows() == 0) return mine;
  std::vector<Scalar> message = mine.out.values();
  message.insert(message.end(), mine.lse.data(), mine.lse.data() + mine.lse.size());
  const std::vector<std::size_t> counts(static_cast<std::size_t>(communicator.num_ranks()),
                                        message.size());
  const std::vector<Scalar> all = communicator.all_gather<Scalar>(message, counts);

  std::vector<AttentionPartial<Scalar>> parts;
  for (auto part = all.begin(); part != all.end();) {
    auto& [out, lse] = parts.emplace_back(mine.out.rows(), mine.out.heads(), mine.out.head_dim());
    std::copy_n(part, out.values().size(), out.values().begin());
    part += std::ssize(out.values());
    std::copy_n(part, lse.size(), lse.data());
    part += lse.size();
  }
  return merge_partials<Scalar>(parts);
}

template AttentionPartial<float> merge_over_ranks(const AttentionPartial<float>&, Communicator&);
template AttentionPartial<double> merge_over_ranks(const AttentionPartial<double>&, Communicator&);

}  // namespace apb
