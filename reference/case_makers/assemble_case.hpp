#pragma once
/// \file
/// From the projections of a system's rows in one layer to a case file's contents.

#include <vector>

#include "reference/core/case/case_file.hpp"
#include "reference/core/matrix.hpp"
#include "reference/methods/method.hpp"

namespace apb {

/// Projections of some rows, after RoPE, every element representable in the case's precision.
struct RowTensors {
  HeadsTensor<double> query;  ///< [rows, num_q_heads, head_dim]
  HeadsTensor<double> key;    ///< [rows, num_kv_heads, head_dim]
  HeadsTensor<double> value;  ///< [rows, num_kv_heads, head_dim]
};

/// Rounds every element.
void round_all(ValueType type, HeadsTensor<double>& tensor);
void round_all(ValueType type, RowTensors& rows);

/// Rounds inputs and weights.
void round_all(ValueType type, RetainingCase& retaining);

/// Importance and kept positions of one rank from raw scores: rounded, pooled, selected, in the
/// order of docs/contracts.md, "Selection".
///
/// \param scores [block_rows, num_kv_heads]
void select_kept(ValueType type, Index pool_kernel, Matrix<double> scores, CaseRank& rank);

/// A case of all ranks: selects and exchanges what is passed, as the method does.
/// \param config made by method_config
/// \param inputs per rank, the rows of its layout
/// \param retaining per rank, what compressor retaining_head scores with; else empty
[[nodiscard]] CaseFile make_case(Method method, const ApbConfig& config, ValueType type,
                                 Index layer, std::vector<RowTensors> inputs,
                                 std::vector<RetainingCase> retaining);

/// Adds a query pass with its truth. All ranks must be in the case.
/// \param query_rows query_len rows
void add_decode(CaseFile& case_file, const RowTensors& query_rows);

/// Adds the true out and lse of every rank that is in the case, in double.
void add_truth(CaseFile& case_file);

/// Drops all ranks but one, which its passing block makes complete in itself.
void keep_only(CaseFile& case_file, int rank);

}  // namespace apb
