#include "reference/attention/passing.hpp"

#include <algorithm>

namespace apb {
namespace {

/// Appends the kept rows of a block, [kept, num_kv_heads, head_dim].
template <class Scalar>
void append_kept(const HeadsView<const Scalar>& block, const Selection<Scalar>& selection,
                 const RankLayout& layout, std::vector<Scalar>& entries) {
  for (std::size_t entry = 0; entry < static_cast<std::size_t>(layout.num_kept); ++entry) {
    for (Index head = 0; head < block.heads; ++head) {
      const Index doc_pos = selection.kept_positions[static_cast<std::size_t>(head)][entry];
      const Scalar* first = block.at(doc_pos - layout.block_begin, head);
      entries.insert(entries.end(), first, first + block.head_dim);
    }
  }
}

}  // namespace

template <class Scalar>
PassingBlock<Scalar> exchange_passing_block(const BlockLayout& layout,
                                            const HeadsView<const Scalar>& block_key,
                                            const HeadsView<const Scalar>& block_value,
                                            const Selection<Scalar>& selection,
                                            Communicator& communicator) {
  const auto rank = static_cast<std::size_t>(communicator.rank());
  const Index row_size = block_key.heads * block_key.head_dim;

  // Kept keys, then kept values: one message a layer.
  std::vector<Scalar> mine;
  append_kept(block_key, selection, layout.ranks[rank], mine);
  append_kept(block_value, selection, layout.ranks[rank], mine);
  std::vector<std::size_t> counts;
  for (const RankLayout& other : layout.ranks) {
    counts.push_back(static_cast<std::size_t>(2 * other.num_kept * row_size));
  }
  const std::vector<Scalar> all = communicator.all_gather<Scalar>(mine, counts);

  // Only what lower ranks kept is used.
  PassingBlock<Scalar> passing{{0, block_key.heads, block_key.head_dim},
                               {0, block_key.heads, block_key.head_dim}};
  const Scalar* entries = all.data();
  for (std::size_t lower = 0; lower < rank; ++lower) {
    const Index kept = layout.ranks[lower].num_kept;
    const HeadsView<const Scalar> keys{entries, kept, block_key.heads, block_key.head_dim,
                                       row_size};
    passing.key.append(keys);
    passing.value.append({entries + kept * row_size, kept, keys.heads, keys.head_dim, row_size});
    entries += 2 * kept * row_size;
  }
  return passing;
}

template PassingBlock<float> exchange_passing_block(const BlockLayout&,
                                                    const HeadsView<const float>&,
                                                    const HeadsView<const float>&,
                                                    const Selection<float>&, Communicator&);
template PassingBlock<double> exchange_passing_block(const BlockLayout&,
                                                     const HeadsView<const double>&,
                                                     const HeadsView<const double>&,
                                                     const Selection<double>&, Communicator&);

}  // namespace apb
