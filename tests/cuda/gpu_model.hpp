#pragma once
/// \file
/// Small models of random weights that the GPU's kernels take, and their runs on all ranks.

#include <string>
#include <vector>

#include "cuda/comm/loopback.hpp"
#include "cuda/model/generate.hpp"
#include "reference/core/value_type.hpp"
#include "reference/core/weights/model_weights.hpp"

namespace apb {

/// Two layers, heads of 64 or 128, biases, retaining heads.
struct GpuModelShape {
  Index head_dim = 64;
  Index num_q_heads = 6;
  Index num_kv_heads = 2;
  Index retaining_hidden = 48;  ///< 0: linear heads
};

/// Weights that are exactly representable in `type`.
[[nodiscard]] ModelWeights<float> gpu_model_weights(const GpuModelShape& shape, ValueType type);
/// The same weights in double.
[[nodiscard]] ModelWeights<double> in_double(const ModelWeights<float>& weights);

/// A document and a question to a small model.
struct GpuCase {
  Method method = Method::kApb;
  ApbConfig config;  ///< already adapted to the method and the model
  std::vector<int> document, query, expected_answer;
  Index answer_tokens = 3;
};

/// \param config lengths, ranks, anchor, selection
[[nodiscard]] GpuCase make_gpu_case(Method method, ApbConfig config, const ModelShape& shape,
                                    std::uint64_t seed);

/// What one rank has in the end, in host memory.
struct GpuOutcome {
  std::vector<float> hidden;                     ///< [cached rows, hidden_size]
  std::vector<std::vector<float>> keys, values;  ///< per layer, as prefill left them
  std::vector<std::vector<Index>> kept;          ///< per layer, [num_kv_heads, num_kept]
  std::vector<std::vector<float>> importance;    ///< per layer, [block_rows, num_kv_heads]
  std::vector<std::int64_t> bytes_received;      ///< per layer
  std::vector<double> expected_log_p;            ///< [expected tokens, vocab_size]
  std::vector<double> nll;                       ///< of every document token but the first
  std::vector<int> answer;

  friend bool operator==(const GpuOutcome&, const GpuOutcome&) = default;
};

/// Prefill, the answer's probabilities, the document's nll, greedy answer, of one rank. Collective.
template <class T>
[[nodiscard]] GpuOutcome run_gpu_rank(const GpuCase& work, const cuda::DeviceModel<T>& model,
                                      cuda::DeviceCommunicator& communicator);

/// All ranks by loopback.
template <class T>
[[nodiscard]] std::vector<GpuOutcome> run_gpu_ranks(const GpuCase& work,
                                                    const ModelWeights<float>& weights);

}  // namespace apb
