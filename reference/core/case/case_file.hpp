#pragma once
/// \file
/// Case files: one layer's attention, selection and merge with all inputs, for any
/// number of ranks, exchanged between the reference, kernels in any language and notebooks. HDF5;
/// docs/case-files.md lists every attribute and dataset.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "reference/core/block_layout.hpp"
#include "reference/core/matrix.hpp"
#include "reference/core/value_type.hpp"

namespace apb {

/// Kept document positions, one ascending list per KV head.
using HeadPositions = std::vector<std::vector<Index>>;

/// What `retaining_head` scored the block with; inputs before RoPE.
struct RetainingCase {
  Matrix<double> input;  ///< [block_rows, (num_q_heads + 2 num_kv_heads) * head_dim]
  Matrix<double> fc1;    ///< [hidden, (num_q_heads + 2 num_kv_heads) * head_dim]
  Matrix<double> fc2;    ///< [num_kv_heads, hidden]; empty if the head is linear: fc1 alone
};

/// One rank of a case. rows = anchor_rows + block_rows, anchor first.
struct CaseRank {
  int rank = 0;
  RankLayout layout;  ///< derived from the case's config; the file's doc_pos and position agree

  HeadsTensor<double> query;          ///< [rows, num_q_heads, head_dim], after RoPE
  HeadsTensor<double> key;            ///< [rows, num_kv_heads, head_dim], after RoPE
  HeadsTensor<double> value;          ///< [rows, num_kv_heads, head_dim]
  HeadsTensor<double> passing_key;    ///< [passing_rows, num_kv_heads, head_dim]
  HeadsTensor<double> passing_value;  ///< [passing_rows, num_kv_heads, head_dim]
  HeadPositions passing_doc_pos;      ///< num_kv_heads lists of passing_rows
  Matrix<double> importance;          ///< [block_rows, num_kv_heads]; empty if nothing is kept
  HeadPositions kept_positions;       ///< num_kv_heads lists of layout.num_kept

  std::optional<HeadsTensor<double>> score_query;  ///< [query rows, num_q_heads, head_dim]
  std::optional<RetainingCase> retaining;
  std::optional<HeadsTensor<double>> out;  ///< [rows, num_q_heads, head_dim]
  std::optional<Matrix<double>> lse;       ///< [rows, num_q_heads], natural log
};

/// One rank's part of a query pass.
struct DecodeRank {
  HeadsTensor<double> key;    ///< [cached rows, num_kv_heads, head_dim]
  HeadsTensor<double> value;  ///< [cached rows, num_kv_heads, head_dim]
  Index query_keys = 0;     ///< last cached rows that are the query's own, seen causally: 0 or all
  HeadsTensor<double> out;  ///< partial, [query rows, num_q_heads, head_dim]
  Matrix<double> lse;       ///< partial, [query rows, num_q_heads]
};

/// The query pass over all ranks' caches.
struct DecodeCase {
  HeadsTensor<double> query;  ///< [query rows, num_q_heads, head_dim], after RoPE
  std::vector<DecodeRank> ranks;
  HeadsTensor<double> out;  ///< merged
  Matrix<double> lse;       ///< merged
};

struct CaseFile {
  std::string method;  ///< "full", "star" or "apb"
  ApbConfig config;    ///< as the method runs it
  ValueType value_type = ValueType::kFloat64;
  std::vector<CaseRank> ranks;  ///< those in the file, ascending
  std::optional<DecodeCase> decode;
};

/// Checks every shape, type and range against the file's own attributes. Call check_hdf5_in_child
/// on a file from outside first. \throws BadInput naming file, key, value and what is allowed
[[nodiscard]] CaseFile read_case(const std::string& path);

/// Writes under a temporary name, then renames.
void write_case(const std::string& path, const CaseFile& case_file);

}  // namespace apb
