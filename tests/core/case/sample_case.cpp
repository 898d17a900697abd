#include "tests/core/case/sample_case.hpp"

#include <limits>
#include <numeric>

#include "tests/support/compare.hpp"
#include "tests/support/random_tensors.hpp"

namespace apb {
namespace {

HeadPositions some_candidates(const RankLayout& layout, Index num_kv_heads) {
  HeadPositions kept;
  for (Index head = 0; head < num_kv_heads; ++head) {
    auto& list = kept.emplace_back(static_cast<std::size_t>(layout.num_kept));
    const Index first =
        head % 2 == 0 ? layout.candidate_begin : layout.block_end() - layout.num_kept;
    std::iota(list.begin(), list.end(), first);
  }
  return kept;
}

void append_kept(const CaseRank& lower, CaseRank& rank) {
  const Index begin = rank.passing_key.rows();
  rank.passing_key.resize_rows(begin + lower.layout.num_kept);
  rank.passing_value.resize_rows(begin + lower.layout.num_kept);
  for (Index head = 0; head < lower.key.heads(); ++head) {
    Index entry = begin;
    for (const Index doc_pos : lower.kept_positions[static_cast<std::size_t>(head)]) {
      const Index row = lower.layout.anchor_rows + doc_pos - lower.layout.block_begin;
      for (Index i = 0; i < lower.key.head_dim(); ++i) {
        rank.passing_key.view().at(entry, head)[i] = lower.key.view().at(row, head)[i];
        rank.passing_value.view().at(entry, head)[i] = lower.value.view().at(row, head)[i];
      }
      rank.passing_doc_pos[static_cast<std::size_t>(head)].push_back(doc_pos);
      ++entry;
    }
  }
}

template <class T, class Equal>
bool same_optional(const std::optional<T>& a, const std::optional<T>& b, const Equal& equal) {
  return a.has_value() == b.has_value() && (!a || equal(*a, *b));
}

bool same_retaining(const RetainingCase& a, const RetainingCase& b) {
  return bit_equal(a.input, b.input) && bit_equal(a.fc1, b.fc1) && bit_equal(a.fc2, b.fc2);
}

bool same_rank(const CaseRank& a, const CaseRank& b) {
  const auto heads = [](const HeadsTensor<double>& x, const HeadsTensor<double>& y) {
    return bit_equal(x, y);
  };
  const auto matrices = [](const Matrix<double>& x, const Matrix<double>& y) {
    return bit_equal(x, y);
  };
  return a.rank == b.rank && a.layout.runs == b.layout.runs && heads(a.query, b.query) &&
         heads(a.key, b.key) && heads(a.value, b.value) && heads(a.passing_key, b.passing_key) &&
         heads(a.passing_value, b.passing_value) && a.passing_doc_pos == b.passing_doc_pos &&
         matrices(a.importance, b.importance) && a.kept_positions == b.kept_positions &&
         same_optional(a.score_query, b.score_query, heads) &&
         same_optional(a.retaining, b.retaining, same_retaining) &&
         same_optional(a.out, b.out, heads) && same_optional(a.lse, b.lse, matrices);
}

bool same_decode(const DecodeCase& a, const DecodeCase& b) {
  bool same = bit_equal(a.query, b.query) && bit_equal(a.out, b.out) && bit_equal(a.lse, b.lse) &&
              a.ranks.size() == b.ranks.size();
  for (std::size_t i = 0; same && i < a.ranks.size(); ++i) {
    const DecodeRank& x = a.ranks[i];
    const DecodeRank& y = b.ranks[i];
    same = bit_equal(x.key, y.key) && bit_equal(x.value, y.value) && bit_equal(x.out, y.out) &&
           bit_equal(x.lse, y.lse) && x.query_keys == y.query_keys;
  }
  return same;
}

bool same_config(const ApbConfig& a, const ApbConfig& b) {
  const auto numbers = [](const ApbConfig& c) {
    return std::vector<Index>{c.doc_len,
                              c.num_ranks,
                              c.query_len,
                              c.anchor_len,
                              c.query_insert_at,
                              c.num_kept,
                              c.pool_kernel,
                              c.num_q_heads,
                              c.num_kv_heads,
                              c.head_dim,
                              static_cast<Index>(c.seed),
                              c.embedded_query_len};
  };
  return numbers(a) == numbers(b) && a.resolved_block_lens() == b.resolved_block_lens() &&
         a.anchor_convention == b.anchor_convention && a.compressor == b.compressor &&
         a.softmax_scale == b.softmax_scale;
}

}  // namespace

CaseFile sample_case(ApbConfig config, ValueType type) {
  config.num_q_heads = 4;
  config.num_kv_heads = 2;
  config.head_dim = 3;
  config.softmax_scale = 0.1;
  RandomTensors random(11);
  CaseFile case_file{
      .method = "apb", .config = config, .value_type = type, .ranks = {}, .decode = {}};
  const BlockLayout layout = make_block_layout(config);
  for (int number = 0; number < layout.num_ranks(); ++number) {
    CaseRank rank;
    rank.rank = number;
    rank.layout = layout.ranks[static_cast<std::size_t>(number)];
    rank.query = random.heads_of_eighths<double>(rank.layout.rows(), 4, 3);
    rank.key = random.heads_of_eighths<double>(rank.layout.rows(), 2, 3);
    rank.value = random.heads_of_eighths<double>(rank.layout.rows(), 2, 3);
    rank.passing_key = rank.passing_value = HeadsTensor<double>(0, 2, 3);
    rank.passing_doc_pos.resize(2);
    if (config.compressor != Compressor::kNone && config.num_ranks > 1) {
      rank.importance.setConstant(rank.layout.block_len, 2, 0.25);
      rank.importance.topRows(rank.layout.candidate_begin - rank.layout.block_begin)
          .setConstant(-std::numeric_limits<double>::infinity());
    }
    rank.kept_positions = some_candidates(rank.layout, 2);
    for (const CaseRank& lower : case_file.ranks) append_kept(lower, rank);
    case_file.ranks.push_back(std::move(rank));
  }
  return case_file;
}

void add_optional_parts(CaseFile& case_file) {
  RandomTensors random(12);
  const ApbConfig& config = case_file.config;
  DecodeCase& decode = case_file.decode.emplace();
  decode.query = random.heads_of_eighths<double>(config.query_len, 4, 3);
  decode.out = random.heads<double>(config.query_len, 4, 3);
  decode.lse = random.matrix<double>(config.query_len, 4);
  for (CaseRank& rank : case_file.ranks) {
    const Index rows = rank.layout.rows();
    rank.out = random.heads<double>(rows, 4, 3);
    rank.lse = random.matrix<double>(rows, 4);
    rank.score_query = random.heads_of_eighths<double>(config.embedded_query_len, 4, 3);
    rank.retaining =
        RetainingCase{Matrix<double>::Constant(rank.layout.block_len, 24, 0.5),
                      Matrix<double>::Constant(5, 24, 0.25), Matrix<double>::Constant(2, 5, 2.0)};
    DecodeRank& part = decode.ranks.emplace_back();
    const bool last = rank.rank == config.num_ranks - 1;
    part.query_keys = last ? config.query_len : 0;
    part.key = random.heads_of_eighths<double>(rank.layout.block_len + part.query_keys, 2, 3);
    part.value = random.heads_of_eighths<double>(part.key.rows(), 2, 3);
    part.out = random.heads<double>(config.query_len, 4, 3);
    part.lse = random.matrix<double>(config.query_len, 4);
  }
}

CandidateFile right_candidate(const CaseFile& case_file) {
  CandidateFile candidate;
  for (const CaseRank& rank : case_file.ranks) {
    candidate.ranks.push_back({.rank = rank.rank,
                               .row_index = {},
                               .out = rank.out,
                               .lse = rank.lse,
                               .importance = rank.importance,
                               .kept_positions = rank.kept_positions});
  }
  candidate.decode = case_file.decode;
  return candidate;
}

bool same_case(const CaseFile& a, const CaseFile& b) {
  bool same = a.method == b.method && same_config(a.config, b.config) &&
              a.value_type == b.value_type && a.ranks.size() == b.ranks.size() &&
              same_optional(a.decode, b.decode, same_decode);
  for (std::size_t i = 0; same && i < a.ranks.size(); ++i) same = same_rank(a.ranks[i], b.ranks[i]);
  return same;
}

}  // namespace apb
