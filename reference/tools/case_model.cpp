#include "reference/tools/case_model.hpp"

#include <algorithm>
#include <thread>

#include "reference/comm/local_communicator.hpp"
#include "reference/core/error.hpp"
#include "reference/model/transformer.hpp"
#include "reference/tools/whole_file.hpp"

namespace apb {
namespace {

/// The paper's proportions (facts: l_a = l_b / 4, l_p = l_b / 8).
ApbConfig model_defaults(const CaseOptions& options, const LlamaConfig& model, Index doc_len,
                         Index query_len) {
  constexpr int kRanks = 4;
  ApbConfig config;
  config.doc_len = doc_len;
  const auto lens = static_cast<int>(options.block_lens.size());
  config.num_ranks = options.num_ranks.value_or(lens > 0 ? lens : kRanks);
  config.block_lens = options.block_lens;
  config.validate();
  config.query_len = query_len;
  const Index block_len = config.resolved_block_lens().front();
  config.anchor_len = block_len / 4;
  config.num_kept = block_len / 8;
  set_model_shape(config, model);
  return config;
}

HeadsTensor<double> widened(const HeadsTensor<float>& tensor) {
  HeadsTensor<double> wide(tensor.rows(), tensor.heads(), tensor.head_dim());
  std::copy(tensor.values().begin(), tensor.values().end(), wide.values().begin());
  return wide;
}

/// This rank's projections in a layer: the layers before it are run as in prefill. Collective.
RowTensors project_layer(Method method, const RankContext& context,
                         const LlamaWeights<float>& weights, const std::vector<int>& document,
                         const std::vector<int>& query, Index layer) {
  const RankLayout& layout = context.rank_layout();
  std::vector<int> tokens;
  std::vector<Index> positions;
  for (Index row = 0; row < layout.rows(); ++row) {
    tokens.push_back(layout.token(row, document, query));
    positions.push_back(layout.position(row));
  }
  const RopeTable<float> rope(positions, weights.config);
  Counters not_reported;
  Matrix<float> hidden = embed(weights, tokens);
  for (Index below = 0; below < layer; ++below) {
    const Qkv<float> qkv = project_qkv(weights, below, hidden, rope, not_reported);
    const auto output = prefill_attention<float>(
        method, context, {below, qkv.query.view(), qkv.key.view(), qkv.value.view()}, not_reported);
    finish_layer(weights, below, output.attention.out, hidden, not_reported);
  }
  const Qkv<float> qkv = project_qkv(weights, layer, hidden, rope, not_reported);
  return {widened(qkv.query), widened(qkv.key), widened(qkv.value)};
}

}  // namespace

CaseFile model_case(const CaseOptions& options, ValueType type) {
  const std::string text = read_whole_file(options.text_path);
  options.model.check();
  const LlamaConfig model = options.model.shape();
  if (options.layer < 0 || options.layer >= model.num_layers) {
    throw BadInput("case", "layer", options.layer,
                   fmt::format("between 0 and {}", model.num_layers - 1));
  }
  const auto encoded = options.model.tokenizer().encode({text, options.query});
  const std::vector<int>& document = encoded[0].ids;
  const std::vector<int>& query = encoded[1].ids;
  if (query.empty()) {
    throw BadInput("--query: has no token: the model's vocabulary lacks all its characters");
  }
  const ApbConfig config =
      make_config(options, model_defaults(options, model, std::ssize(document), std::ssize(query)));
  if (config.embedded_query_len > config.query_len) {
    throw BadInput("case", "embedded-query", config.embedded_query_len,
                   fmt::format("at most the query's {} tokens", config.query_len));
  }
  const Method method = parse_block_method(options.method);
  const BlockLayout layout = make_block_layout(config);
  const auto weights = options.model.weights<float>();
  std::vector<RowTensors> inputs(layout.ranks.size());
  const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
  run_local_ranks(config.num_ranks, std::max(1, cores / config.num_ranks),
                  [&](Communicator& communicator) {
                    const RankContext context{config, layout, communicator};
                    RowTensors& rows = inputs[static_cast<std::size_t>(communicator.rank())];
                    rows = project_layer(method, context, weights, document, query, options.layer);
                    round_all(type, rows);
                  });
  return make_case(method, config, type, options.layer, std::move(inputs));
}

}  // namespace apb
