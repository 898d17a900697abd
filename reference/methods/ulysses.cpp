// DeepSpeed-Ulysses (arXiv 2309.14509): exact; the ranks swap rows for heads and back.
//
// DeepSpeed-Ulysses, one layer of prefill on one rank:
//
//   before             rank r holds all heads of its rows B_r
//   all-to-all         query, key and value: rank r now holds its heads of all rows
//   attention          causal over the whole document, for these heads only
//   all-to-all         out: rank r holds all heads of its rows again
//
// Query heads go where their KV head goes.

#include "reference/methods/define_method.hpp"

namespace apb {
namespace {

/// Heads [begin, end).
struct HeadRange {
  Index begin = 0;
  Index end = 0;

  [[nodiscard]] Index count() const { return end - begin; }
};

/// KV heads of a rank.
HeadRange kv_heads(const ApbConfig& config, Index rank) {
  return {rank * config.num_kv_heads / config.num_ranks,
          (rank + 1) * config.num_kv_heads / config.num_ranks};
}

/// Query heads of a rank: the groups of its KV heads.
HeadRange query_heads(const ApbConfig& config, Index rank) {
  const HeadRange kv = kv_heads(config, rank);
  return {kv.begin * config.group_size(), kv.end * config.group_size()};
}

template <class Scalar>
HeadsView<const Scalar> some_heads(const HeadsView<const Scalar>& all, HeadRange heads) {
  return {all.data + heads.begin * all.head_dim, all.rows, heads.count(), all.head_dim,
          all.row_stride};
}

template <class Scalar>
void append(std::vector<Scalar>& message, const HeadsView<const Scalar>& rows) {
  for (Index row = 0; row < rows.rows; ++row) {
    const Scalar* first = rows.data + row * rows.row_stride;
    message.insert(message.end(), first, first + rows.heads * rows.head_dim);
  }
}

/// Elements of one row for this many heads.
std::size_t elements(const ApbConfig& config, Index rows, Index heads) {
  return static_cast<std::size_t>(rows * heads * config.head_dim);
}

/// What a rank's heads of all rows are after the first all-to-all.
template <class Scalar>
struct AllRows {
  HeadsTensor<Scalar> query;  ///< [doc_len, own query heads, head_dim]
  HeadsTensor<Scalar> key;    ///< [doc_len, own KV heads, head_dim]
  HeadsTensor<Scalar> value;  ///< [doc_len, own KV heads, head_dim]
};

template <class Scalar>
AllRows<Scalar> rows_for_heads(const RankContext& context, const LayerInput<Scalar>& input) {
  const ApbConfig& config = context.config;
  const Index me = context.communicator.rank();
  const Index my_queries = query_heads(config, me).count();
  const Index my_kv = kv_heads(config, me).count();

  std::vector<Scalar> message;
  std::vector<std::size_t> send_counts;
  std::vector<std::size_t> receive_counts;
  for (Index other = 0; other < config.num_ranks; ++other) {
    const std::size_t before = message.size();
    append(message, some_heads(input.query, query_heads(config, other)));
    append(message, some_heads(input.key, kv_heads(config, other)));
    append(message, some_heads(input.value, kv_heads(config, other)));
    send_counts.push_back(message.size() - before);
    const Index rows = context.layout.ranks[static_cast<std::size_t>(other)].block_len;
    receive_counts.push_back(elements(config, rows, my_queries + 2 * my_kv));
  }
  const std::vector<Scalar> received =
      context.communicator.all_to_all<Scalar>(message, send_counts, receive_counts);

  AllRows<Scalar> all{
      {0, my_queries, config.head_dim}, {0, my_kv, config.head_dim}, {0, my_kv, config.head_dim}};
  const Scalar* next = received.data();
  for (const RankLayout& rank : context.layout.ranks) {
    for (HeadsTensor<Scalar>* tensor : {&all.query, &all.key, &all.value}) {
      const Index row_size = tensor->heads() * config.head_dim;
      tensor->append({next, rank.block_len, tensor->heads(), config.head_dim, row_size});
      next += rank.block_len * row_size;
    }
  }
  return all;
}

/// \param out [doc_len, own query heads, head_dim]
/// \returns [own rows, num_q_heads, head_dim]
template <class Scalar>
HeadsTensor<Scalar> heads_for_rows(const RankContext& context, const HeadsTensor<Scalar>& out) {
  const ApbConfig& config = context.config;
  const Index my_rows = context.rank_layout().block_len;
  std::vector<std::size_t> send_counts;
  std::vector<std::size_t> receive_counts;
  for (Index other = 0; other < config.num_ranks; ++other) {
    const Index rows = context.layout.ranks[static_cast<std::size_t>(other)].block_len;
    send_counts.push_back(elements(config, rows, out.heads()));
    receive_counts.push_back(elements(config, my_rows, query_heads(config, other).count()));
  }
  const std::vector<Scalar> received =
      context.communicator.all_to_all<Scalar>(out.values(), send_counts, receive_counts);

  HeadsTensor<Scalar> all(my_rows, config.num_q_heads, config.head_dim);
  const Scalar* next = received.data();
  for (Index other = 0; other < config.num_ranks; ++other) {
    const HeadRange heads = query_heads(config, other);
    const Index row_size = heads.count() * config.head_dim;
    for (Index row = 0; row < my_rows && row_size > 0; ++row, next += row_size) {
      std::copy_n(next, row_size, all.view().at(row, heads.begin));
    }
  }
  return all;
}

}  // namespace

/// One layer of Ulysses' prefill on one rank. Collective.
///
/// Any number of ranks: KV head k goes to the rank r whose part [r h_kv / H, (r + 1) h_kv / H)
/// holds it, so that with more ranks than KV heads some have nothing to do.
/// \param context made from exact_config
/// \returns attention whose lse is empty: it stays on the ranks that computed it
template <class Scalar>
LayerOutput<Scalar> attention_of(MethodTag<Method::kUlysses> /*unused*/, const RankContext& context,
                                 const LayerInput<Scalar>& input, Counters& counters) {
  const AllRows<Scalar> all = rows_for_heads(context, input);
  HeadsTensor<Scalar> out = all.query;  // right already where there is no head
  if (all.key.heads() > 0) {
    const std::array<KeySegment<Scalar>, 1> document{
        {{all.key.view(), all.value.view(), Visibility::kCausal}}};
    out = attend<Scalar>(all.query.view(), document, context.config.softmax_scale, counters).out;
  }
  LayerOutput<Scalar> output;
  output.attention.out = heads_for_rows(context, out);
  return output;
}

template struct MethodCode<Method::kUlysses, float>;
template struct MethodCode<Method::kUlysses, double>;

}  // namespace apb
