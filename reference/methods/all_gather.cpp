// All-gather context parallelism (Llama 3, arXiv 2407.21783): exact; every rank gathers all keys
// and values, then attends for its own rows. Cut as the zigzag ring is, so that work is equal.
//
// All-gather context parallelism, one layer of prefill on one rank of H:
//
//   document           chunks C_0 … C_(2H-1)
//   rows of rank r     [ C_r | C_(2H-1-r) ]: one early chunk, one late
//   all-gather         keys and values of all ranks, put back into the document's order
//   attention          each chunk sees all that lies before it, and itself causally

#include "reference/attention/partial_rows.hpp"
#include "reference/methods/define_method.hpp"

namespace apb {
namespace {

/// Keys and values of the whole document, in its order.
template <class Scalar>
struct DocumentKeyValue {
  HeadsTensor<Scalar> key;    ///< [doc_len, num_kv_heads, head_dim]
  HeadsTensor<Scalar> value;  ///< [doc_len, num_kv_heads, head_dim]
};

/// Gathers what every rank holds: keys and values in one message.
template <class Scalar>
DocumentKeyValue<Scalar> gather_document(const RankContext& context,
                                         const LayerInput<Scalar>& input) {
  const ApbConfig& config = context.config;
  const Index row_size = config.num_kv_heads * config.head_dim;
  HeadsTensor<Scalar> mine(0, config.num_kv_heads, config.head_dim);  // own keys, then own values
  mine.append(input.key);
  mine.append(input.value);
  std::vector<std::size_t> counts;
  for (const RankLayout& rank : context.layout.ranks) {
    counts.push_back(static_cast<std::size_t>(2 * rank.block_len * row_size));
  }
  const std::vector<Scalar> all = context.communicator.all_gather<Scalar>(mine.values(), counts);

  DocumentKeyValue<Scalar> document{{config.doc_len, config.num_kv_heads, config.head_dim},
                                    {config.doc_len, config.num_kv_heads, config.head_dim}};
  const Scalar* next = all.data();
  for (const RankLayout& rank : context.layout.ranks) {
    for (HeadsTensor<Scalar>* tensor : {&document.key, &document.value}) {
      for (const RowRun& chunk : rank.runs) {
        const Index elements = chunk.count * row_size;
        std::copy_n(next, elements, tensor->view().at(chunk.first, 0));
        next += elements;
      }
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
  const DocumentKeyValue<Scalar> document = gather_document(context, input);
  const auto keys = [&](Index begin, Index count, Visibility visibility) {
    return KeySegment<Scalar>{document.key.view().slice(begin, count),
                              document.value.view().slice(begin, count), visibility};
  };
  AttentionPartial<Scalar> result(0, config.num_q_heads, config.head_dim);
  for (const RowRun& chunk : context.rank_layout().runs) {
    const auto query = input.query.slice(result.out.rows(), chunk.count);
    const std::array seen{keys(0, chunk.first, Visibility::kAll),
                          keys(chunk.first, chunk.count, Visibility::kCausal)};
    result =
        stack_rows(std::move(result), attend<Scalar>(query, seen, config.softmax_scale, counters));
  }
  return {std::move(result), {}};
}

template struct MethodCode<Method::kAllGather, float>;
template struct MethodCode<Method::kAllGather, double>;

}  // namespace apb
