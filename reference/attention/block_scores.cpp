#include "reference/attention/block_scores.hpp"

#include <stdexcept>

namespace apb {
namespace {

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014): every input bit moves every output bit.
std::uint64_t mix(std::uint64_t bits) {
  bits += 0x9e3779b97f4a7c15U;
  bits = (bits ^ (bits >> 30U)) * 0xbf58476d1ce4e5b9U;
  bits = (bits ^ (bits >> 27U)) * 0x94d049bb133111ebU;
  return bits ^ (bits >> 31U);
}

}  // namespace

bool scores_with_heads(const ApbConfig& config) {
  return config.compressor == Compressor::kRetainingHead && config.num_ranks > 1;
}

double random_score(std::uint64_t seed, Index layer, Index kv_head, Index doc_pos) {
  std::uint64_t bits = mix(seed);
  for (const Index part : {layer, kv_head, doc_pos}) {
    bits = mix(bits ^ static_cast<std::uint64_t>(part));
  }
  return static_cast<double>(bits >> 11U) * 0x1.0p-53;
}

template <class Scalar>
Matrix<Scalar> query_aware_scores(const HeadsView<const Scalar>& score_query,
                                  const HeadsView<const Scalar>& block_key, Counters& counters) {
  const Index group_size = score_query.heads / block_key.heads;
  Matrix<Scalar> scores(block_key.rows, block_key.heads);
  for (Index kv_head = 0; kv_head < block_key.heads; ++kv_head) {
    Eigen::Vector<Scalar, Eigen::Dynamic> mean_query(block_key.head_dim);
    mean_query.setZero();
    for (Index member = 0; member < group_size; ++member) {
      const auto head = head_matrix(score_query, kv_head * group_size + member);
      for (Index row = 0; row < score_query.rows; ++row) mean_query += head.row(row).transpose();
    }
    mean_query /= static_cast<Scalar>(score_query.rows * group_size);
    scores.col(kv_head).noalias() = head_matrix(block_key, kv_head) * mean_query;
  }
  counters.compressor_flop += 2 * block_key.rows * block_key.heads * block_key.head_dim;
  return scores;
}

template <class Scalar>
HeadsTensor<Scalar> embedded_query_rows(const ApbConfig& config, const RankLayout& layout,
                                        const HeadsView<const Scalar>& query,
                                        Communicator& communicator) {
  HeadsTensor<Scalar> rows(0, query.heads, query.head_dim);
  if (communicator.rank() > 0) {
    rows.append(query.slice(layout.embedded_query().value().first, config.embedded_query_len));
    if (communicator.rank() == 1) {
      (void)communicator.send_recv<Scalar>(0, rows.values(), Communicator::kNobody, 0);
    }
  } else {
    rows.resize_rows(config.embedded_query_len);
    rows.values() =
        communicator.send_recv<Scalar>(Communicator::kNobody, {}, 1, rows.values().size());
  }
  return rows;
}

template <class Scalar>
Matrix<Scalar> query_free_scores(const ApbConfig& config, const RankLayout& block, Index layer) {
  Matrix<Scalar> scores(block.block_len, config.num_kv_heads);
  for (Index row = 0; row < block.block_len; ++row) {
    const Index doc_pos = block.block_begin + row;
    for (Index head = 0; head < config.num_kv_heads; ++head) {
      scores(row, head) =
          config.compressor == Compressor::kRecent
              ? static_cast<Scalar>(doc_pos)
              : static_cast<Scalar>(random_score(config.seed, layer, head, doc_pos));
    }
  }
  return scores;
}

template <class Scalar>
Matrix<Scalar> block_scores(const ApbConfig& config, const RankLayout& layout, Index layer,
                            const HeadsView<const Scalar>& query,
                            const HeadsView<const Scalar>& block_key, Communicator& communicator,
                            Counters& counters, const RetainingInput<Scalar>& retaining) {
  switch (config.compressor) {
    case Compressor::kQueryAware: {
      const auto score_query = embedded_query_rows(config, layout, query, communicator);
      return query_aware_scores<Scalar>(score_query.view(), block_key, counters);
    }
    case Compressor::kRandom:
    case Compressor::kRecent:
      return query_free_scores<Scalar>(config, layout, layer);
    case Compressor::kRetainingHead:
      if (retaining.head == nullptr) {
        throw std::invalid_argument("block_scores: retaining_head needs its weights and features");
      }
      return retaining_scores(*retaining.head, *retaining.features, counters);
    case Compressor::kNone:
      break;
  }
  throw std::logic_error("block_scores: compressor none scores nothing");
}

template Matrix<float> query_aware_scores(const HeadsView<const float>&,
                                          const HeadsView<const float>&, Counters&);
template Matrix<double> query_aware_scores(const HeadsView<const double>&,
                                           const HeadsView<const double>&, Counters&);
template Matrix<float> query_free_scores(const ApbConfig&, const RankLayout&, Index);
template Matrix<double> query_free_scores(const ApbConfig&, const RankLayout&, Index);
template HeadsTensor<float> embedded_query_rows(const ApbConfig&, const RankLayout&,
                                                const HeadsView<const float>&, Communicator&);
template HeadsTensor<double> embedded_query_rows(const ApbConfig&, const RankLayout&,
                                                 const HeadsView<const double>&, Communicator&);
template Matrix<float> block_scores(const ApbConfig&, const RankLayout&, Index,
                                    const HeadsView<const float>&, const HeadsView<const float>&,
                                    Communicator&, Counters&, const RetainingInput<float>&);
template Matrix<double> block_scores(const ApbConfig&, const RankLayout&, Index,
                                     const HeadsView<const double>&, const HeadsView<const double>&,
                                     Communicator&, Counters&, const RetainingInput<double>&);

}  // namespace apb
