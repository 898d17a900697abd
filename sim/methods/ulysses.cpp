// DeepSpeed-Ulysses (arXiv 2309.14509): the ranks swap rows for heads, attend to the whole document
// for a share of the heads, and swap back. Query, key and value go in three all-to-alls, out comes
// back in one.

#include "sim/methods/method_table.hpp"

namespace apb::sim {

void plan_ulysses(const PlanInput& input, PlanBuilder& builder) {
  const Index head_dim = input.job.model.head_dim;
  const Index num_ranks = builder.num_ranks();
  const Index doc_len = input.config.doc_len;
  // The KV heads that a rank has of all those of its tensor-parallel GPU, and the query heads that
  // read them.
  const auto first_kv = [&](Index r) { return r * builder.own_kv_heads() / num_ranks; };
  const auto first_q = [&](Index r) {
    return first_kv(r) * builder.own_q_heads() / builder.own_kv_heads();
  };
  const auto kv_heads = [&](Index r) { return first_kv(r + 1) - first_kv(r); };
  const auto q_heads = [&](Index r) { return first_q(r + 1) - first_q(r); };
  std::vector<Index> rows;
  for (const RankLayout& rank : input.layout.ranks) {
    builder.project(static_cast<int>(rows.size()), rank.block_len);
    rows.push_back(rank.block_len);
  }
  const auto swap = [&](Index calls, auto&& heads_of, Index all_heads, bool to_heads) {
    if (num_ranks == 1) return;
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
      3, [&](Index r) { return q_heads(r) + 2 * kv_heads(r); }, all, true);
  for (std::size_t r = 0; r < rows.size(); ++r) {
    builder.attend(static_cast<int>(r), doc_len, causal_pairs(doc_len), doc_len, MaskKind::kCausal,
                   q_heads(static_cast<Index>(r)));
  }
  swap(
      1, [&](Index r) { return q_heads(r); }, all_q, false);
  builder.finish(rows);
}

}  // namespace apb::sim
