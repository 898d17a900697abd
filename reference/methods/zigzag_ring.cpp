// Zigzag ring attention, one layer of prefill on one rank of H:
//
//   document           chunks C_0 … C_(2H-1)
//   rows of rank r     [ C_r | C_(2H-1-r) ]: one early chunk, one late
//   step 0             both attend to what is on the rank already
//   step s             chunks of rank o = r - s (mod H) arrive, an early one and a late one:
//                        o < r: the early one lies before both chunks of r, the late one behind
//                        o > r: both lie before the late chunk of r, none before its early one
//
// With chunks of one length every rank has the same work in every step.

#include "reference/methods/zigzag_ring.hpp"

#include "reference/attention/merge.hpp"
#include "reference/attention/partial_rows.hpp"
#include "reference/core/error.hpp"
#include "reference/methods/full.hpp"
#include "reference/methods/ring_step.hpp"

namespace apb {
namespace {

/// Tokens of rank `rank`'s early chunk, its first rows.
Index early_len(const RankContext& context, int rank) {
  return equal_chunks(0, context.config.doc_len,
                      2 * Index{context.config.num_ranks})[static_cast<std::size_t>(rank)]
      .count();
}

template <class Scalar>
void merge_into(AttentionPartial<Scalar>& result, AttentionPartial<Scalar> more) {
  const std::array parts{std::move(result), std::move(more)};
  result = merge_partials<Scalar>(parts);
}

}  // namespace

ApbConfig zigzag_config(ApbConfig config) {
  if (!config.block_lens.empty()) {
    throw BadInput("config", "block_lens", fmt::format("{} lengths", config.block_lens.size()),
                   "left out: this method cuts the document into two chunks a rank");
  }
  config = exact_config(std::move(config));
  config.validate();
  for (const RankLayout& rank : zigzag_layout(config).ranks) {
    config.block_lens.push_back(rank.block_len);
  }
  return config;
}

BlockLayout zigzag_layout(const ApbConfig& config) {
  const Index num_ranks = config.num_ranks;
  const auto chunks = equal_chunks(0, config.doc_len, 2 * num_ranks);
  BlockLayout layout;
  layout.appending_rank = config.num_ranks - 1;
  layout.query_position = config.doc_len;
  for (Index r = 0; r < num_ranks; ++r) {
    RankLayout rank;
    rank.block_begin = chunks[static_cast<std::size_t>(r)].begin;
    for (const Index c : {r, 2 * num_ranks - 1 - r}) {
      const Chunk& chunk = chunks[static_cast<std::size_t>(c)];
      rank.block_len += chunk.count();
      if (chunk.count() == 0) continue;
      rank.runs.push_back(
          {Segment::kBlock, RowSource::kDocument, chunk.begin, chunk.begin, chunk.count()});
    }
    rank.cached = {{0, rank.block_len}};
    layout.ranks.push_back(std::move(rank));
  }
  return layout;
}

template <class Scalar>
LayerOutput<Scalar> zigzag_ring_attention(const RankContext& context,
                                          const LayerInput<Scalar>& input, Counters& counters) {
  Communicator& communicator = context.communicator;
  const double scale = context.config.softmax_scale;
  const Index early_rows = early_len(context, communicator.rank());
  const Index late_rows = input.query.rows - early_rows;
  const auto early_query = input.query.slice(0, early_rows);
  const auto late_query = input.query.slice(early_rows, late_rows);

  const KeySegment<Scalar> own_early{input.key.slice(0, early_rows),
                                     input.value.slice(0, early_rows), Visibility::kCausal};
  const KeySegment<Scalar> own_late{input.key.slice(early_rows, late_rows),
                                    input.value.slice(early_rows, late_rows), Visibility::kCausal};
  const KeySegment<Scalar> all_of_early{own_early.key, own_early.value, Visibility::kAll};
  auto early = attend<Scalar>(early_query, std::array{own_early}, scale, counters);
  auto late = attend<Scalar>(late_query, std::array{all_of_early, own_late}, scale, counters);

  KeyValue<Scalar> held(input.key, input.value);
  for (int step = 1; step < communicator.num_ranks(); ++step) {
    const int owner = ring_owner(communicator, step);
    ring_step(held, context.layout.ranks[static_cast<std::size_t>(owner)].block_len, communicator);
    const bool only_early = owner < communicator.rank();
    const Index keys = only_early ? early_len(context, owner) : held.key.rows();
    const std::array seen{KeySegment<Scalar>{held.key.view().slice(0, keys),
                                             held.value.view().slice(0, keys), Visibility::kAll}};
    if (only_early) merge_into(early, attend<Scalar>(early_query, seen, scale, counters));
    merge_into(late, attend<Scalar>(late_query, seen, scale, counters));
  }
  return {stack_rows(std::move(early), late), {}};
}

template LayerOutput<float> zigzag_ring_attention(const RankContext&, const LayerInput<float>&,
                                                  Counters&);
template LayerOutput<double> zigzag_ring_attention(const RankContext&, const LayerInput<double>&,
                                                   Counters&);

}  // namespace apb
