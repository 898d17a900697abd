// Seconds of a full prefill of 2,048 tokens in float by one rank, the counterpart of
// torch_prefill.py, and of APB's prefill by 4 ranks in one process. Weights are random with
// SmolLM2-135M's shape: speed does not depend on their values. Not a test: run it on a quiet
// machine.

#include <fmt/core.h>
#include <algorithm>
#include <fstream>
#include <random>
#include <string>

#include "reference/comm/local_communicator.hpp"
#include "reference/core/available_cores.hpp"
#include "reference/core/keep_freed_memory.hpp"
#include "reference/core/parallel_for.hpp"
#include "reference/model/evaluate.hpp"

namespace apb {
namespace {

constexpr Index kTokens = 2048;
constexpr int kRuns = 3;

ModelWeights<float> random_weights() {
  ModelWeights<float> weights;
  ModelShape& c = weights.shape;
  c = {.name = "random",
       .num_layers = 30,
       .hidden_size = 576,
       .intermediate_size = 1536,
       .num_q_heads = 9,
       .num_kv_heads = 3,
       .head_dim = 64,
       .vocab_size = 49152,
       .context_len = 8192,
       .rope_theta = 1e5,
       .rms_norm_eps = 1e-5};
  const auto random = [](Index rows, Index columns) {
    return (Matrix<float>::Random(rows, columns) * 0.05F).eval();
  };
  const Matrix<float> ones = Matrix<float>::Ones(1, c.hidden_size);
  weights.embedding = random(c.vocab_size, c.hidden_size);
  weights.final_norm = ones;
  const Index q_size = c.num_q_heads * c.head_dim;
  const Index kv_size = c.num_kv_heads * c.head_dim;
  for (Index layer = 0; layer < c.num_layers; ++layer) {
    weights.layers.push_back({.attention_norm = ones,
                              .query = random(q_size, c.hidden_size),
                              .key = random(kv_size, c.hidden_size),
                              .value = random(kv_size, c.hidden_size),
                              .output = random(c.hidden_size, q_size),
                              .ffn_norm = ones,
                              .gate = random(c.intermediate_size, c.hidden_size),
                              .up = random(c.intermediate_size, c.hidden_size),
                              .down = random(c.hidden_size, c.intermediate_size)});
  }
  return weights;
}

/// Peak resident memory of this process so far.
std::string peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return line.substr(line.find_first_not_of(" \t", 6));
  }
  return "unknown";
}

void time_prefill(const char* what, Method method, int num_ranks,
                  const ModelWeights<float>& weights) {
  EvaluationRequest request{.method = method};
  std::mt19937 generator(1);
  for (Index i = 0; i < kTokens; ++i) {
    request.document.push_back(static_cast<int>(generator() % 49152U));
  }
  request.query = {1, 2, 3, 4, 5, 6, 7, 8};
  ApbConfig config;
  config.doc_len = kTokens;
  config.num_ranks = num_ranks;
  config.query_len = config.embedded_query_len = std::ssize(request.query);
  config.anchor_len = kTokens / num_ranks / 4;
  config.compressor = Compressor::kQueryAware;
  config.num_kept = kTokens / num_ranks / 8;
  set_model_shape(config, weights.shape);
  request.config = method_config(method, config);

  std::vector<double> seconds;
  for (int run = 0; run <= kRuns; ++run) {
    run_local_ranks(num_ranks, 1, [&](Communicator& communicator) {
      const RankEnvironment rank{communicator, num_ranks, available_cores()};
      const auto evaluation = evaluate<float>(request, weights, rank, [](Index) {});
      if (communicator.rank() == 0 && run > 0) seconds.push_back(evaluation.prefill_s);
    });
  }
  std::sort(seconds.begin(), seconds.end());
  fmt::print("{}: median {:.3f} s ({:.3f} to {:.3f}, {} runs after a warm-up); peak memory {}\n",
             what, seconds[seconds.size() / 2], seconds.front(), seconds.back(), kRuns,
             peak_memory());
}

}  // namespace
}  // namespace apb

int main() {
  apb::keep_freed_memory();
  const auto weights = apb::random_weights();
  fmt::print("{} threads\n", apb::num_threads());
  apb::time_prefill("full prefill of 2,048 tokens, float, 1 rank", apb::Method::kFull, 1, weights);
  apb::time_prefill("APB prefill of 2,048 tokens, float, 4 ranks in one process", apb::Method::kApb,
                    4, weights);
}
