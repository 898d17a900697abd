#include "reference/case_makers/assemble_case.hpp"

#include <algorithm>

#include "reference/attention/block_scores.hpp"
#include "reference/attention/merge.hpp"
#include "reference/attention/partial_rows.hpp"
#include "reference/attention/passing.hpp"
#include "reference/comm/local_communicator.hpp"
#include "reference/model/prefill.hpp"

namespace apb {
namespace {

/// One rank's part of the layer. Collective.
void select_and_exchange(const CaseFile& case_file, const BlockLayout& layout, Index layer,
                         CaseRank& rank, Communicator& communicator) {
  const ApbConfig& config = case_file.config;
  const Index anchor_rows = rank.layout.anchor_rows;
  const auto block_key = rank.key.view().slice(anchor_rows, rank.layout.block_len);
  const auto block_value = rank.value.view().slice(anchor_rows, rank.layout.block_len);
  Counters not_reported;
  RetainingHead<double> head;
  RetainingInput<double> retaining;
  if (rank.retaining) {
    head = {rank.retaining->fc1, rank.retaining->fc2};
    retaining = {&head, &rank.retaining->input};
  }
  Matrix<double> scores = block_scores<double>(config, rank.layout, layer, rank.query.view(),
                                               block_key, communicator, not_reported, retaining);
  select_kept(case_file.value_type, config.pool_kernel, std::move(scores), rank);
  if (config.compressor == Compressor::kQueryAware) {
    rank.score_query =
        embedded_query_rows<double>(config, rank.layout, rank.query.view(), communicator);
  }
  auto [key, value] = exchange_passing_block<double>(
      layout, block_key, block_value, {rank.importance, rank.kept_positions}, communicator);
  rank.passing_key = std::move(key);
  rank.passing_value = std::move(value);
}

/// Kept positions of the lower ranks, in the order of the passing block.
HeadPositions passing_positions(std::span<const CaseRank> lower, Index num_kv_heads) {
  HeadPositions positions(static_cast<std::size_t>(num_kv_heads));
  for (const CaseRank& rank : lower) {
    for (std::size_t head = 0; head < positions.size(); ++head) {
      positions[head].insert(positions[head].end(), rank.kept_positions[head].begin(),
                             rank.kept_positions[head].end());
    }
  }
  return positions;
}

}  // namespace

void round_all(ValueType type, HeadsTensor<double>& tensor) {
  for (double& value : tensor.values()) value = round_to(type, value);
}

void round_all(ValueType type, RowTensors& rows) {
  for (HeadsTensor<double>* tensor : {&rows.query, &rows.key, &rows.value}) {
    round_all(type, *tensor);
  }
}

void round_all(ValueType type, RetainingCase& retaining) {
  for (Matrix<double>* matrix : {&retaining.input, &retaining.fc1, &retaining.fc2}) {
    for (double& value : matrix->reshaped()) value = round_to(type, value);
  }
}

void select_kept(ValueType type, Index pool_kernel, Matrix<double> scores, CaseRank& rank) {
  for (double& score : scores.reshaped()) score = round_to(type, score);
  Counters not_reported;
  Selection<double> selection = select_block(scores, rank.layout, pool_kernel, not_reported);
  rank.importance = std::move(selection.importance);
  rank.kept_positions = std::move(selection.kept_positions);
}

CaseFile make_case(Method method, const ApbConfig& config, ValueType type, Index layer,
                   std::vector<RowTensors> inputs, std::vector<RetainingCase> retaining) {
  const BlockLayout layout = make_block_layout(config);
  CaseFile case_file;
  case_file.method = to_string(method);
  case_file.config = config;
  case_file.value_type = type;
  for (int number = 0; number < config.num_ranks; ++number) {
    const auto at = static_cast<std::size_t>(number);
    CaseRank& rank = case_file.ranks.emplace_back();
    rank.rank = number;
    rank.layout = layout.ranks[at];
    rank.query = std::move(inputs[at].query);
    rank.key = std::move(inputs[at].key);
    rank.value = std::move(inputs[at].value);
    rank.passing_key = HeadsTensor<double>(0, config.num_kv_heads, config.head_dim);
    rank.passing_value = rank.passing_key;
    rank.kept_positions.resize(static_cast<std::size_t>(config.num_kv_heads));
    if (!retaining.empty()) rank.retaining = std::move(retaining[at]);
  }
  if (config.compressor != Compressor::kNone && config.num_ranks > 1) {
    run_local_ranks(config.num_ranks, 1, [&](Communicator& communicator) {
      CaseRank& rank = case_file.ranks[static_cast<std::size_t>(communicator.rank())];
      select_and_exchange(case_file, layout, layer, rank, communicator);
    });
  }
  for (std::size_t number = 0; number < case_file.ranks.size(); ++number) {
    case_file.ranks[number].passing_doc_pos =
        passing_positions(std::span(case_file.ranks).first(number), config.num_kv_heads);
  }
  return case_file;
}

void add_decode(CaseFile& case_file, const RowTensors& query_rows) {
  DecodeCase& decode = case_file.decode.emplace();
  decode.query = query_rows.query;
  std::vector<AttentionPartial<double>> partials;
  Counters not_reported;
  for (const CaseRank& rank : case_file.ranks) {
    DecodeRank& part = decode.ranks.emplace_back();
    part.key = cached_rows(rank.layout, rank.key);
    part.value = cached_rows(rank.layout, rank.value);
    if (rank.rank == case_file.config.num_ranks - 1) {
      part.query_keys = query_rows.key.rows();
      part.key.append(query_rows.key.view());
      part.value.append(query_rows.value.view());
    }
    const Index before = part.key.rows() - part.query_keys;
    std::vector<KeySegment<double>> keys{
        {part.key.view().slice(0, before), part.value.view().slice(0, before), Visibility::kAll}};
    if (part.query_keys > 0) {
      keys.push_back({part.key.view().slice(before, part.query_keys),
                      part.value.view().slice(before, part.query_keys), Visibility::kCausal});
    }
    AttentionPartial<double> partial =
        attend<double>(decode.query.view(), keys, case_file.config.softmax_scale, not_reported);
    part.out = partial.out;
    part.lse = partial.lse;
    partials.push_back(std::move(partial));
  }
  AttentionPartial<double> merged = merge_partials<double>(partials);
  decode.out = std::move(merged.out);
  decode.lse = std::move(merged.lse);
}

void add_truth(CaseFile& case_file) {
  Counters not_reported;
  const double scale = case_file.config.softmax_scale;
  for (CaseRank& rank : case_file.ranks) {
    const Index anchor = rank.layout.anchor_rows;
    const Index block = rank.layout.block_len;
    const auto query = rank.query.view();
    const auto key = rank.key.view();
    const auto value = rank.value.view();
    const std::array<KeySegment<double>, 1> anchor_sees{
        {{key.slice(0, anchor), value.slice(0, anchor), Visibility::kCausal}}};
    const std::array<KeySegment<double>, 3> block_sees{
        {{key.slice(0, anchor), value.slice(0, anchor), Visibility::kAll},
         {rank.passing_key.view(), rank.passing_value.view(), Visibility::kAll},
         {key.slice(anchor, block), value.slice(anchor, block), Visibility::kCausal}}};
    auto [out, lse] =
        stack_rows(attend<double>(query.slice(0, anchor), anchor_sees, scale, not_reported),
                   attend<double>(query.slice(anchor, block), block_sees, scale, not_reported));
    rank.out = std::move(out);
    rank.lse = std::move(lse);
  }
}

void keep_only(CaseFile& case_file, int rank) {
  std::erase_if(case_file.ranks, [&](const CaseRank& other) { return other.rank != rank; });
}

}  // namespace apb
