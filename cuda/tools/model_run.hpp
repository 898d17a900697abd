#pragma once
/// \file
/// A model, a text and a question on the GPU: what `apb run` does on the CPU, and the same report.

#include "cuda/comm/device_communicator.hpp"
#include "cuda/model/device_model.hpp"
#include "reference/model_io/run_report.hpp"

namespace apb::cuda {

/// Prefill, nll of chosen document tokens, the expected answer's probability, the greedy answer, on
/// one rank. Collective. The results are complete on rank 0 only; FLOPs are those that the
/// contract's closed form has for this work, bytes are those that were sent.
/// \param on_layer called on rank 0 after each prefill layer with the number of layers given to the
/// GPU
template <class T>
[[nodiscard]] Evaluation<float> evaluate(const EvaluationRequest& request,
                                         const DeviceModel<T>& model,
                                         DeviceCommunicator& communicator,
                                         const std::function<void(Index)>& on_layer);

}  // namespace apb::cuda
