#include "reference/model/run_memory.hpp"

#include "reference/core/available_memory.hpp"
#include "reference/core/error.hpp"

namespace apb {
namespace {

constexpr double kGiB = 1024.0 * 1024.0 * 1024.0;

double weight_values(const ModelShape& model) {
  const Index attention = (2 * model.num_q_heads + 2 * model.num_kv_heads) * model.head_dim;
  const Index layer = model.hidden_size * (attention + 3 * model.intermediate_size);
  return static_cast<double>(model.hidden_size) * static_cast<double>(model.vocab_size) +
         static_cast<double>(model.num_layers) * static_cast<double>(layer);
}

}  // namespace

double least_run_bytes(Method method, const ApbConfig& config, const ModelShape& model,
                       double scalar_bytes, int processes) {
  double rows = 0;
  for (const RankLayout& rank : method_layout(method, config).ranks) {
    rows += static_cast<double>(rank.rows());
  }
  const Index kv = 2 * model.num_kv_heads * model.head_dim;
  const double cached = static_cast<double>(config.doc_len) *
                        static_cast<double>(model.num_layers) * static_cast<double>(kv);
  // A layer's input, its sum with the attention's output, queries, keys and values, and the output.
  const Index row = 2 * model.hidden_size + kv + 2 * model.num_q_heads * model.head_dim;
  return scalar_bytes *
         (processes * weight_values(model) + cached + rows * static_cast<double>(row));
}

void require_run_memory(Method method, const ApbConfig& config, const ModelShape& model,
                        double scalar_bytes, int processes) {
  const auto available = available_memory_bytes();
  const double needed = least_run_bytes(method, config, model, scalar_bytes, processes);
  if (!available || needed <= *available) return;
  throw CannotRun(fmt::format(
      "{} tokens: weights, caches and rows take at least {:.1f} GiB, and {:.1f} GiB of memory are "
      "available",
      config.doc_len, needed / kGiB, *available / kGiB));
}

}  // namespace apb
