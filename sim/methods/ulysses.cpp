// DeepSpeed-Ulysses (arXiv 2309.14509): the ranks swap rows for heads, attend to the whole document
// for a share of the heads, and swap back. Query, key and value go in three all-to-alls, out comes
// back in one.

#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_ulysses(const PlanInput& input, PlanBuilder& builder) {
  const ModelSizes& model = input.job.model;
  const Index head_dim = model.head_dim;
  const Index num_ranks = builder.num_ranks();
  const Index doc_len = input.config.doc_len;
  const Index q_per_kv = model.num_q_heads / model.num_kv_heads;
  // The KV heads of a rank, and the query heads that read them.
  const auto kv_heads = [&](Index r) {
    return (r + 1) * builder.own_kv_heads() / num_ranks - r * builder.own_kv_heads() / num_ranks;
  };
  std::vector<Index> rows;
  for (const RankLayout& rank : input.layout.ranks) {
    builder.project(static_cast<int>(rows.size()), rank.block_len);
    rows.push_back(rank.block_len);
  }
  const auto swap = [&](Index calls, auto&& heads_of, Index all_heads, bool to_heads) {
    Exchange& swapped = builder.exchange(CollectiveKind::kAllToAll, Meeting::kAllRanks, calls);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      const Index own = heads_of(static_cast<Index>(r));
      const Index by_rows =
          builder.bytes(rows[r], (all_heads - own) * head_dim);  // other heads, own rows
      const Index by_heads =
          builder.bytes(doc_len - rows[r], own * head_dim);  // own heads, other rows
      swapped.sent[r] = to_heads ? by_rows : by_heads;
      swapped.received[r] = to_heads ? by_heads : by_rows;
      const Index kept = builder.bytes(rows[r], own * head_dim);
      swapped.size[r] = (swapped.received[r] + kept) / calls;
    }
    builder.next_step();
  };
  const Index all_q = builder.own_q_heads();
  const Index all = all_q + 2 * builder.own_kv_heads();
  swap(
      3, [&](Index r) { return kv_heads(r) * (q_per_kv + 2); }, all, true);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    builder.attend(static_cast<int>(r), doc_len, causal_pairs(doc_len), doc_len, MaskKind::kCausal,
                   kv_heads(static_cast<Index>(r)) * q_per_kv);
  }
  swap(
      1, [&](Index r) { return kv_heads(r) * q_per_kv; }, all_q, false);
  builder.finish(rows);
}

}  // namespace apb::sim
