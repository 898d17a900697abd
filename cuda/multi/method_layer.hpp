#pragma once
/// \file
/// One layer of prefill by one method, on one rank of several GPUs.

#include <functional>
#include <memory>
#include <vector>

#include "cuda/benchmarks/layer_marks.hpp"
#include "cuda/multi/partners.hpp"
#include "reference/core/plans/method_list.hpp"

namespace apb::cuda {

/// Run as often as wanted, always on the same inputs: what stands at a position of the document is
/// the same in all methods. Every call is collective.
class MethodLayer {
 public:
  MethodLayer() = default;
  MethodLayer(const MethodLayer&) = delete;
  MethodLayer& operator=(const MethodLayer&) = delete;
  MethodLayer(MethodLayer&&) = delete;
  MethodLayer& operator=(MethodLayer&&) = delete;
  virtual ~MethodLayer() = default;

  /// Runs the layer once, marks its parts, waits.
  /// \param before called when the inputs lie there
  virtual LayerRun run(const std::function<void(cudaStream_t)>& before) = 0;
  /// Enqueues what the layer exchanges, and nothing else.
  virtual void exchange(cudaStream_t stream) = 0;

  [[nodiscard]] virtual const LayerRoom<Bfloat16>& room() const = 0;
  /// Of the room's rows, in the document.
  [[nodiscard]] virtual const std::vector<Index>& positions() const = 0;
  /// Log-sum-exp of the room's rows, [rows, num_q_heads]; null: it is left elsewhere.
  [[nodiscard]] virtual const float* lse() const { return room().lse.data(); }
};

/// Methods by name: "full", "zigzag_ring", "all_gather", "ulysses", "tensor_parallel", "star",
/// "apb".
/// \param config   for APB, made by method_config; the others take of it what they use. doc_len is
/// a
///                 multiple of twice the number of ranks
/// \param model    one layer of the whole model; must outlive the result, as partners
/// \throws BadInput if heads or sizes cannot be dealt out; CudaError if there is not enough memory
[[nodiscard]] std::unique_ptr<MethodLayer> make_method_layer(const std::string& method,
                                                             const ApbConfig& config,
                                                             const DeviceModel<Bfloat16>& model,
                                                             Partners& partners);

/// Configuration by which a method runs where APB runs by `apb`.
[[nodiscard]] ApbConfig config_of_method(const std::string& method, const ApbConfig& apb);

}  // namespace apb::cuda
