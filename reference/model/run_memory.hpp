#pragma once
/// \file
/// The memory that a run takes at least, and whether it is there: what is not would end the run, or
/// another program, by the kernel's hand.

#include "reference/core/weights/model_shape.hpp"
#include "reference/methods/method.hpp"

namespace apb {

/// Bytes of the weights, and, on all ranks, of the caches and of a layer's rows.
/// \param config       of the method
/// \param scalar_bytes of a number
/// \param processes    each has the weights
[[nodiscard]] double least_run_bytes(Method method, const ApbConfig& config,
                                     const ModelShape& model, double scalar_bytes, int processes);

/// For a run with all its ranks on this machine. \throws CannotRun if it needs more memory than
/// there is
void require_run_memory(Method method, const ApbConfig& config, const ModelShape& model,
                        double scalar_bytes, int processes);

}  // namespace apb
