#pragma once
/// \file
/// One question to the simulator: which model, which prompt, which method, on how many GPUs.

#include <optional>
#include <string>

#include "reference/core/config.hpp"
#include "sim/methods/method_names.hpp"

namespace apb::sim {

/// The sizes of a model that cost depends on.
struct ModelSizes {
  std::string name;
  Index num_layers = 0;
  Index hidden_size = 0;
  Index intermediate_size = 0;
  Index num_q_heads = 0;
  Index num_kv_heads = 0;
  Index head_dim = 0;
  Index vocab_size = 0;
  Index num_parameters = 0;
  Index retaining_size = 1024;  ///< hidden width of APB's retaining heads; 0: linear ones
};

/// GPUs in all: num_ranks (of `lengths`) x tensor_parallel x pipeline_stages.
struct Job {
  ModelSizes model;
  SimMethod method = SimMethod::kApb;
  /// Lengths, ranks, blocks, anchor, kept entries, compressor; heads as the model has them. As the
  /// user gives it: the method adapts it (method_config).
  ApbConfig lengths;
  Index batch = 1;          ///< prompts of this length at once
  Index element_bytes = 2;  ///< of weights, activations, keys and values: bf16

  Index tensor_parallel = 1;  ///< GPUs that share each rank's heads and feed-forward columns
  Index pipeline_stages = 1;  ///< groups of GPUs that share the layers
  /// Pieces that follow each other through the pipeline: of the prompt, for methods whose rows see
  /// only earlier rows of the same rank (full, tensor_parallel, minference); else of the batch.
  Index pipeline_chunks = 1;

  std::string attention_backend;  ///< of the machine's tables; empty: its first
  bool captured = false;          ///< kernels replayed from a graph, not launched one by one
  /// Share of an exchange that hides behind the compute that may run beside it, 0 to 1. None: as
  /// the method is usually run (0 for APB as published, 1 for the ring family and Spava).
  std::optional<double> overlap;
  bool all_logits = false;  ///< of every row that a GPU computes are held, not only the last's
  bool cache_replicated = false;  ///< all_gather: every rank keeps all keys and values
};

/// The part of a Job that the model decides, heads and softmax scale included.
void set_model(Job& job, const ModelSizes& model);

/// \throws BadInput naming the first value that cannot be, and what is allowed
void validate(const Job& job);

/// GPUs that the job occupies.
[[nodiscard]] Index num_gpus(const Job& job);

}  // namespace apb::sim
