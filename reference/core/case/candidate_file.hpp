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
  std::optional<HeadPositions> kept_positions;  ///< num_kv_heads lists, as they came
};

/// Relative error of an exponential that needs no declaration.
inline constexpr double kExpAccuracy = 0x1p-22;
/// The worst that may be declared.
inline constexpr double kWorstExpAccuracy = 0.01;

/// What the error budget of out and lse depends on.
struct Precision {
  ValueType weight_type = ValueType::kFloat32;  ///< that the weights P were rounded to
  ValueType out_type = ValueType::kFloat32;     ///< that out was rounded to
  double exp_accuracy = kExpAccuracy;           ///< largest relative error of the exponential
};

struct CandidateFile {
  ValueType compute_type = ValueType::kFloat32;  ///< of products, and of P if nothing else is said
  ValueType out_type = ValueType::kFloat32;      ///< that out was rounded to
  std::vector<CandidateRank> ranks;
  std::optional<DecodeCase> decode;         ///< out and lse only, partial and merged
  std::optional<ValueType> p_type = {};     ///< of P, if declared
  std::optional<double> exp_accuracy = {};  ///< if declared

  [[nodiscard]] Precision precision() const;
};

/// Checks every shape, type and range against the case's attributes. Call check_hdf5_in_child on a
/// file from outside first.
/// \param case_file the case that the candidate answers: gives the shapes
/// \throws BadInput naming file, key, value and what is allowed
[[nodiscard]] CandidateFile read_candidate(const std::string& path, const CaseFile& case_file);

/// Writes under a temporary name, then renames.
void write_candidate(const std::string& path, const CandidateFile& candidate);

}  // namespace apb
