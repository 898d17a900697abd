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
std::vector<PassingBlock<Scalar>> gather_kept(const std::vector<RankLayout>& blocks,
                                              const HeadsView<const Scalar>& block_key,
                                              const HeadsView<const Scalar>& block_value,
                                              const Selection<Scalar>& selection,
                                              Communicator& communicator) {
  const auto& own = blocks[static_cast<std::size_t>(communicator.rank())];
  const Index row_size = block_key.heads * block_key.head_dim;

  // Kept keys, then kept values: one message a layer.
  std::vector<Scalar> mine;
  append_kept(block_key, selection, own, mine);
  append_kept(block_value, selection, own, mine);
  std::vector<std::size_t> counts;
  for (const RankLayout& block : blocks) {
    counts.push_back(static_cast<std::size_t>(2 * block.num_kept * row_size));
  }
  const std::vector<Scalar> all = communicator.all_gather<Scalar>(mine, counts);

  std::vector<PassingBlock<Scalar>> kept;
  const Scalar* entries = all.data();
  for (const RankLayout& block : blocks) {
    auto& [key, value] = kept.emplace_back();
    for (HeadsTensor<Scalar>* tensor : {&key, &value}) {
      *tensor = {0, block_key.heads, block_key.head_dim};
      tensor->append({entries, block.num_kept, block_key.heads, block_key.head_dim, row_size});
      entries += block.num_kept * row_size;
    }
  }
  return kept;
}

template <class Scalar>
PassingBlock<Scalar> concatenate(std::span<const PassingBlock<Scalar>> blocks, Index num_kv_heads,
                                 Index head_dim) {
  PassingBlock<Scalar> all{{0, num_kv_heads, head_dim}, {0, num_kv_heads, head_dim}};
  for (const PassingBlock<Scalar>& block : blocks) {
    all.key.append(block.key.view());
    all.value.append(block.value.view());
  }
  return all;
}

template <class Scalar>
PassingBlock<Scalar> exchange_passing_block(const BlockLayout& layout,
                                            const HeadsView<const Scalar>& block_key,
                                            const HeadsView<const Scalar>& block_value,
                                            const Selection<Scalar>& selection,
                                            Communicator& communicator) {
  const auto kept = gather_kept(layout.ranks, block_key, block_value, selection, communicator);
  const auto lower = std::span(kept).first(static_cast<std::size_t>(communicator.rank()));
  return concatenate<Scalar>(lower, block_key.heads, block_key.head_dim);
}

template std::vector<PassingBlock<float>> gather_kept(const std::vector<RankLayout>&,
                                                      const HeadsView<const float>&,
                                                      const HeadsView<const float>&,
                                                      const Selection<float>&, Communicator&);
template PassingBlock<float> concatenate(std::span<const PassingBlock<float>>, Index, Index);
template std::vector<PassingBlock<double>> gather_kept(const std::vector<RankLayout>&,
                                                       const HeadsView<const double>&,
                                                       const HeadsView<const double>&,
                                                       const Selection<double>&, Communicator&);
template PassingBlock<double> concatenate(std::span<const PassingBlock<double>>, Index, Index);
template PassingBlock<float> exchange_passing_block(const BlockLayout&,
                                                    const HeadsView<const float>&,
                                                    const HeadsView<const float>&,
                                                    const Selection<float>&, Communicator&);
template PassingBlock<double> exchange_passing_block(const BlockLayout&,
                                                     const HeadsView<const double>&,
                                                     const HeadsView<const double>&,
                                                     const Selection<double>&, Communicator&);

}  // namespace apb
