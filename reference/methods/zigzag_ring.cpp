// Zigzag ring attention: the ring, with the document cut so that every rank has the same work (if
// 2 H divides the document; else the last chunks are shorter).
//
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

#include "reference/attention/merge.hpp"
#include "reference/attention/partial_rows.hpp"
#include "reference/methods/define_method.hpp"
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

/// One layer of zigzag ring attention's prefill on one rank. Collective.
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kZigzagRing> /*unused*/,
                                 const RankContext& context, const LayerInput<Scalar>& input,
                                 Counters& counters) {
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

template struct MethodCode<Method::kZigzagRing, float>;
template struct MethodCode<Method::kZigzagRing, double>;

}  // namespace apb
