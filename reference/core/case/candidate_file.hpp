#pragma once
/// \file
/// Candidate files: what a kernel computed for a case (HDF5, docs/case-files.md).

#include <optional>
#include <string>
#include <vector>

#include "reference/core/case/case_file.hpp"

namespace apb {

/// What a kernel computed for one rank: any subset.
struct CandidateRank {
  int rank = 0;
  std::optional<std::vector<Index>> row_index;  ///< rows that out and lse hold; absent: all
  std::optional<HeadsTensor<double>> out;       ///< [rows given, num_q_heads, head_dim]
  std::optional<Matrix<double>> lse;            ///< [rows given, num_q_heads]
  std::optional<Matrix<double>> importance;     ///< [block_rows, num_kv_heads]
  std::optional<HeadPositions> kept_positions;  ///< num_kv_heads lists, any order
};

struct CandidateFile {
  ValueType compute_type = ValueType::kFloat32;  ///< of products and of P
  ValueType out_type = ValueType::kFloat32;      ///< that out was rounded to
  std::vector<CandidateRank> ranks;
  std::optional<DecodeCase> decode;  ///< out and lse only, partial and merged
};

/// Checks every shape, type and range against the case's attributes. Call check_hdf5_in_child on a
/// file from outside first.
/// \param case_file the case that the candidate answers: gives the shapes
/// \throws BadInput naming file, key, value and what is allowed
[[nodiscard]] CandidateFile read_candidate(const std::string& path, const CaseFile& case_file);

/// Writes under a temporary name, then renames.
void write_candidate(const std::string& path, const CandidateFile& candidate);

}  // namespace apb
