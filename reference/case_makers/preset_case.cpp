#include "reference/case_makers/preset_case.hpp"

#include <array>
#include <cmath>

#include "reference/attention/block_scores.hpp"
#include "reference/case_makers/random_case.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

constexpr int kRanks = 8;
constexpr Index kHeadDim = 128;
constexpr Index kQueryLen = 32;
constexpr Index kK = 1024;

struct Model {
  std::string_view name;
  Index num_q_heads;
  Index num_kv_heads;
};

constexpr Model kLlama{"llama3-8b", 32, 8};
constexpr Model kQwen{"qwen2.5-14b", 40, 8};
constexpr Model kYi{"yi-34b", 56, 8};

struct Row {
  std::string_view name;
  Model model;
  Index block_len;
  Index anchor_len;
  Index num_kept;
  std::string_view source;
};

constexpr std::string_view kTable8 =
    "lengths: APB paper, Table 8; heads: the model's config.json (32/8 heads of 128)";

constexpr std::array<Row, 7> kRows{
    {{"llama3-8b-32k", kLlama, 4 * kK, kK, kK / 2, kTable8},
     {"llama3-8b-64k", kLlama, 8 * kK, 2 * kK, kK, kTable8},
     {"llama3-8b-128k", kLlama, 16 * kK, 4 * kK, 2 * kK, kTable8},
     {"llama3-8b-256k", kLlama, 32 * kK, 8 * kK, 4 * kK, kTable8},
     {"llama3-8b-512k", kLlama, 64 * kK, 8 * kK, 8 * kK, kTable8},
     {"qwen2.5-14b-128k", kQwen, 16 * kK, 4 * kK, 2 * kK,
      "lengths: APB paper, Table 8; heads: the model's config.json (40/8 heads of 128)"},
     {"yi-34b-128k", kYi, 16 * kK, 4 * kK, 2 * kK,
      "lengths: APB paper, Table 8; heads: the model's config.json (56/8 heads of 128)"}}};

ApbConfig config_of(const Row& row) {
  ApbConfig config;
  config.doc_len = row.block_len * kRanks;
  config.num_ranks = kRanks;
  config.query_len = config.embedded_query_len = kQueryLen;
  config.anchor_len = row.anchor_len;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = row.num_kept;
  config.num_q_heads = row.model.num_q_heads;
  config.num_kv_heads = row.model.num_kv_heads;
  config.head_dim = kHeadDim;
  config.softmax_scale = 1.0 / std::sqrt(static_cast<double>(kHeadDim));
  return config;
}

/// `count` of [begin, end), ascending, every choice as likely as any other: each number is taken
/// with the chance that it has among those that are left.
void append_choice(Index begin, Index end, Index count, SeededRandom& random,
                   std::vector<Index>& positions) {
  for (Index number = begin; number < end && count > 0; ++number) {
    if (random.below(end - number) >= count) continue;
    positions.push_back(number);
    --count;
  }
}

void add_passing(const BlockLayout& layout, const ApbConfig& config, ValueType type,
                 SeededRandom& random, CaseRank& rank) {
  ApbConfig no_queries = config;
  no_queries.num_q_heads = 0;
  RowTensors passing = random_rows(no_queries, type, rank.layout.passing_rows, random);
  rank.passing_key = std::move(passing.key);
  rank.passing_value = std::move(passing.value);
  rank.passing_doc_pos.resize(static_cast<std::size_t>(config.num_kv_heads));
  for (auto& positions : rank.passing_doc_pos) {
    for (int lower = 0; lower < rank.rank; ++lower) {
      const RankLayout& from = layout.ranks[static_cast<std::size_t>(lower)];
      append_choice(from.candidate_begin, from.block_end(), from.num_kept, random, positions);
    }
  }
}

/// The embedded query's rows of the anchor (its first ones in convention paper), or on rank 0,
/// which has no anchor, rows of their own.
HeadsTensor<double> score_query(const ApbConfig& config, ValueType type, SeededRandom& random,
                                const CaseRank& rank) {
  HeadsTensor<double> rows(0, config.num_q_heads, config.head_dim);
  if (rank.layout.anchor_rows > 0) {
    rows.append(rank.query.view().slice(config.query_insert_at, config.embedded_query_len));
    return rows;
  }
  return random_rows(config, type, config.embedded_query_len, random).query;
}

}  // namespace

CasePreset find_preset(std::string_view name) {
  std::string known;
  for (const Row& row : kRows) {
    if (row.name == name) return {row.name, config_of(row), row.source};
    known += (known.empty() ? "" : ", ") + std::string(row.name);
  }
  throw BadInput("case", "preset", name, "one of " + known);
}

CaseFile preset_case(const ApbConfig& config, ValueType type, int number) {
  const BlockLayout layout = make_block_layout(config);
  SeededRandom random(config.seed);
  CaseFile case_file;
  case_file.method = to_string(Method::kApb);
  case_file.config = config;
  case_file.value_type = type;
  CaseRank& rank = case_file.ranks.emplace_back();
  rank.rank = number;
  rank.layout = layout.ranks[static_cast<std::size_t>(number)];
  RowTensors rows = random_rows(config, type, rank.layout.rows(), random);
  rank.query = std::move(rows.query);
  rank.key = std::move(rows.key);
  rank.value = std::move(rows.value);
  add_passing(layout, config, type, random, rank);
  if (config.compressor == Compressor::kNone) return case_file;
  rank.score_query = score_query(config, type, random, rank);
  Counters not_reported;
  const auto block_key = rank.key.view().slice(rank.layout.anchor_rows, rank.layout.block_len);
  select_kept(type, config.pool_kernel,
              query_aware_scores<double>(rank.score_query->view(), block_key, not_reported), rank);
  return case_file;
}

}  // namespace apb
