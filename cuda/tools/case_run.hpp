#pragma once
/// \file
/// A case file answered by the GPU: every step on the case's own inputs, for apb verify to judge.

#include "reference/core/case/candidate_file.hpp"

namespace apb::cuda {

/// Runs each rank of the case: importance where the case holds what it was scored with, the
/// selection (from the GPU's own importance, else from the case's), attention with the case's
/// passing block, and the query pass if there is one. Computes in the case's value type, bfloat16
/// or float16.
/// \param path of the case, for messages
/// \throws BadInput if the case's value type or head_dim is not the kernels'; CudaError
[[nodiscard]] CandidateFile answer_case(const std::string& path, const CaseFile& case_file);

}  // namespace apb::cuda
