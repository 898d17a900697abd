#include "tests/fuzz/reader_contract.hpp"

#include <fmt/format.h>
#include <hdf5.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <limits>

#include "tests/support/compare.hpp"

namespace apb {
namespace {

void require(bool condition, std::string_view what) {
  if (!condition) throw BrokenContract(std::string(what));
}

void require_shape(const HeadsTensor<double>& tensor, Index rows, Index heads, Index head_dim,
                   std::string_view what) {
  require(tensor.rows() == rows && tensor.heads() == heads && tensor.head_dim() == head_dim &&
              std::ssize(tensor.values()) == rows * heads * head_dim,
          what);
}

void require_shape(const Matrix<double>& matrix, Index rows, Index columns, std::string_view what) {
  require(matrix.rows() == rows && matrix.cols() == columns, what);
}

void require_lists(const HeadPositions& positions, Index lists, Index length,
                   std::string_view what) {
  require(std::ssize(positions) == lists, what);
  for (const auto& list : positions) require(std::ssize(list) == length, what);
}

void require_sound(const CaseRank& rank, const ApbConfig& config, const RankLayout& layout) {
  const Index q_heads = config.num_q_heads;
  const Index kv_heads = config.num_kv_heads;
  const Index dim = config.head_dim;
  const Index rows = layout.rows();
  require(rank.layout.runs == layout.runs && rank.layout.num_kept == layout.num_kept, "layout");
  require_shape(rank.query, rows, q_heads, dim, "query");
  require_shape(rank.key, rows, kv_heads, dim, "key");
  require_shape(rank.value, rows, kv_heads, dim, "value");
  require_shape(rank.passing_key, layout.passing_rows, kv_heads, dim, "passing_key");
  require_shape(rank.passing_value, layout.passing_rows, kv_heads, dim, "passing_value");
  require_lists(rank.passing_doc_pos, kv_heads, layout.passing_rows, "passing_doc_pos");
  require_lists(rank.kept_positions, kv_heads, layout.num_kept, "kept_positions");
  if (layout.num_kept > 0) {
    require_shape(rank.importance, layout.block_len, kv_heads, "importance");
  }
  for (const auto& kept : rank.kept_positions) {
    for (const Index doc_pos : kept) {
      require(layout.candidate_begin <= doc_pos && doc_pos < layout.block_end(), "a kept position");
    }
    require(std::ranges::is_sorted(kept, std::less_equal<>()), "order of kept positions");
  }
  if (rank.out) require_shape(*rank.out, rows, q_heads, dim, "out");
  if (rank.lse) require_shape(*rank.lse, rows, q_heads, "lse");
}

void require_sound(const DecodeCase& decode, const ApbConfig& config) {
  require_shape(decode.query, config.query_len, config.num_q_heads, config.head_dim, "query");
  require(std::ssize(decode.ranks) == config.num_ranks, "ranks of the query pass");
  for (const DecodeRank& rank : decode.ranks) {
    require_shape(rank.value, rank.key.rows(), config.num_kv_heads, config.head_dim, "cache");
    require(rank.query_keys == 0 || rank.query_keys == config.query_len, "query_keys");
    require(rank.query_keys <= rank.key.rows(), "query_keys");
    require_shape(rank.lse, config.query_len, config.num_q_heads, "partial lse");
  }
  require_shape(decode.lse, config.query_len, config.num_q_heads, "merged lse");
}

void make_nan_usual(std::span<double> values) {
  std::ranges::replace_if(
      values, [](double value) { return std::isnan(value); },
      std::numeric_limits<double>::quiet_NaN());
}

void make_nan_usual(HeadsTensor<double>& tensor) {
  make_nan_usual(std::span(tensor.values()));
}

void make_nan_usual(Matrix<double>& matrix) {
  make_nan_usual({matrix.data(), static_cast<std::size_t>(matrix.size())});
}

template <class Tensor>
void make_nan_usual(std::optional<Tensor>& tensor) {
  if (tensor) make_nan_usual(*tensor);
}

void make_nan_usual(CaseRank& rank) {
  for (auto* tensor :
       {&rank.query, &rank.key, &rank.value, &rank.passing_key, &rank.passing_value}) {
    make_nan_usual(*tensor);
  }
  make_nan_usual(rank.importance);
  make_nan_usual(rank.score_query);
  make_nan_usual(rank.out);
  make_nan_usual(rank.lse);
  if (!rank.retaining) return;
  for (auto* matrix : {&rank.retaining->input, &rank.retaining->fc1, &rank.retaining->fc2}) {
    make_nan_usual(*matrix);
  }
}

void make_nan_usual(DecodeCase& decode) {
  make_nan_usual(decode.query);
  make_nan_usual(decode.out);
  make_nan_usual(decode.lse);
  for (DecodeRank& rank : decode.ranks) {
    for (auto* tensor : {&rank.key, &rank.value, &rank.out}) make_nan_usual(*tensor);
    make_nan_usual(rank.lse);
  }
}

template <class T>
bool same_optional(const std::optional<T>& a, const std::optional<T>& b) {
  return a.has_value() == b.has_value() && (!a || bit_equal(*a, *b));
}

bool same_rank(const CandidateRank& a, const CandidateRank& b) {
  return a.rank == b.rank && a.row_index == b.row_index && same_optional(a.out, b.out) &&
         same_optional(a.lse, b.lse) && same_optional(a.importance, b.importance) &&
         a.kept_positions == b.kept_positions;
}

template <class Part>
bool same_results(const Part& a, const Part& b) {
  return bit_equal(a.out, b.out) && bit_equal(a.lse, b.lse);
}

}  // namespace

void require_sound(const CaseFile& case_file) {
  const BlockLayout layout = make_block_layout(case_file.config);
  require(!case_file.ranks.empty(), "ranks");
  int smallest = 0;
  for (const CaseRank& rank : case_file.ranks) {
    require(smallest <= rank.rank && rank.rank < layout.num_ranks(), "numbers of ranks");
    smallest = rank.rank + 1;
    require_sound(rank, case_file.config, layout.ranks[static_cast<std::size_t>(rank.rank)]);
  }
  if (case_file.decode) require_sound(*case_file.decode, case_file.config);
}

void require_sound(const CandidateFile& candidate, const CaseFile& case_file) {
  const ApbConfig& config = case_file.config;
  require(candidate.ranks.size() <= case_file.ranks.size(), "ranks");
  for (const CandidateRank& rank : candidate.ranks) {
    const auto asked = std::ranges::find(case_file.ranks, rank.rank, &CaseRank::rank);
    require(asked != case_file.ranks.end(), "a rank that the case does not have");
    const RankLayout& layout = asked->layout;
    const Index rows = rank.row_index ? std::ssize(*rank.row_index) : layout.rows();
    require(rows <= layout.rows(), "row_index");
    if (rank.out) require_shape(*rank.out, rows, config.num_q_heads, config.head_dim, "out");
    if (rank.lse) require_shape(*rank.lse, rows, config.num_q_heads, "lse");
    if (rank.importance) {
      require_shape(*rank.importance, layout.block_len, config.num_kv_heads, "importance");
    }
    if (rank.kept_positions) {
      require_lists(*rank.kept_positions, config.num_kv_heads, layout.num_kept, "kept_positions");
    }
  }
}

void require_one_line(std::string_view refusal, std::string_view path) {
  const bool named = refusal.starts_with(path) && refusal.substr(path.size()).starts_with(": ");
  const bool one_line = std::ranges::none_of(
      refusal, [](char letter) { return std::iscntrl(static_cast<unsigned char>(letter)) != 0; });
  require(named && one_line, fmt::format("refusal '{}'", refusal));
}

void require_all_closed() {
  require(H5Fget_obj_count(H5F_OBJ_ALL, H5F_OBJ_ALL) == 0, "something is still open");
}

CaseFile with_usual_nan(CaseFile case_file) {
  for (CaseRank& rank : case_file.ranks) make_nan_usual(rank);
  if (case_file.decode) make_nan_usual(*case_file.decode);
  return case_file;
}

bool same_candidate(const CandidateFile& a, const CandidateFile& b) {
  bool same = a.compute_type == b.compute_type && a.out_type == b.out_type &&
              std::ranges::equal(a.ranks, b.ranks, same_rank) &&
              a.decode.has_value() == b.decode.has_value();
  if (same && a.decode) {
    same = same_results(*a.decode, *b.decode) &&
           std::ranges::equal(a.decode->ranks, b.decode->ranks, same_results<DecodeRank>);
  }
  return same;
}

}  // namespace apb
