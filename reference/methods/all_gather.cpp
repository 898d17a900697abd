// All-gather context parallelism, as SGLang and Megatron ship it: every rank gathers all keys and
// values, then attends for its own rows; the zigzag cut gives every rank the same work.
//
// All-gather context parallelism, one layer of prefill on one rank of H:
//
//   document           chunks C_0 … C_(2H-1)
//   rows of rank r     [ C_r | C_(2H-1-r) ]: one early chunk, one late
//   all-gather         keys and values of all ranks, put back into the document's order
//   attention          each chunk to what lies before it, and to itself causally

#include "reference/attention/partial_rows.hpp"
#include "reference/methods/define_method.hpp"

namespace apb {
namespace {

/// Keys or values of the whole document, [doc_len, num_kv_heads, head_dim].
/// \param mine this rank's rows
template <class Scalar>
HeadsTensor<Scalar> gather_document(const RankContext& context,
                                    const HeadsView<const Scalar>& mine) {
  const ApbConfig& config = context.config;
  const Index row_size = config.num_kv_heads * config.head_dim;
  std::vector<std::size_t> counts;
  for (const RankLayout& rank : context.layout.ranks) {
    counts.push_back(static_cast<std::size_t>(rank.block_len * row_size));
  }
  HeadsTensor<Scalar> own(0, mine.heads, mine.head_dim);
  own.append(mine);
  const std::vector<Scalar> received =
      context.communicator.all_gather<Scalar>(own.values(), counts);

  HeadsTensor<Scalar> document(config.doc_len, config.num_kv_heads, config.head_dim);
  const Scalar* next = received.data();
  for (const RankLayout& rank : context.layout.ranks) {
    for (const RowRun& run : rank.runs) {
      std::copy_n(next, run.count * row_size, document.view().at(run.first, 0));
      next += run.count * row_size;
    }
  }
  return document;
}

}  // namespace

/// One layer of all-gather context parallelism's prefill on one rank. Collective.
/// \param context made from zigzag_config
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kAllGather> /*unused*/,
                                 const RankContext& context, const LayerInput<Scalar>& input,
                                 Counters& counters) {
  const ApbConfig& config = context.config;
  const auto key = gather_document(context, input.key);
  const auto value = gather_document(context, input.value);
  AttentionPartial<Scalar> result(0, config.num_q_heads, config.head_dim);
  for (const RowRun& run : context.rank_layout().runs) {
    const auto segment = [&](Index begin, Index count, Visibility visibility) {
      return KeySegment<Scalar>{key.view().slice(begin, count), value.view().slice(begin, count),
                                visibility};
    };
    const std::array seen{segment(0, run.first, Visibility::kAll),
                          segment(run.first, run.count, Visibility::kCausal)};
    const auto query = input.query.slice(result.out.rows(), run.count);
    result =
        stack_rows(std::move(result), attend<Scalar>(query, seen, config.softmax_scale, counters));
  }
  return {std::move(result), {}};
}

template struct MethodCode<Method::kAllGather, float>;
template struct MethodCode<Method::kAllGather, double>;

}  // namespace apb
