#include "reference/tools/case/model_case.hpp"

#include <algorithm>
#include <numeric>

#include "reference/attention/block_scores.hpp"
#include "reference/comm/local_communicator.hpp"
#include "reference/core/available_cores.hpp"
#include "reference/core/error.hpp"
#include "reference/model/decode.hpp"
#include "reference/model/run_memory.hpp"
#include "reference/model/transformer.hpp"
#include "reference/model_io/text_input.hpp"

namespace apb {
namespace {

/// The paper's proportions (its Table 8, up to 256K): an anchor of a quarter, a passing share of an
/// eighth of a block.
ApbConfig model_defaults(const CaseOptions& options, const ModelShape& model, Index doc_len,
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

/// What one rank has in the chosen layer.
struct ProjectedRank {
  RowTensors rows;          ///< of its layout
  Matrix<double> features;  ///< of its block, for a retaining head
  RowTensors query;         ///< of the query pass, the same on every rank; empty if not asked for
};

RowTensors widened(const Qkv<float>& qkv) {
  return {widened(qkv.query), widened(qkv.key), widened(qkv.value)};
}

/// The query's projections in the layer after those that the model has, which are run as in the
/// query pass. Collective.
RowTensors project_query(Method method, const RankContext& context,
                         const ModelWeights<float>& layers_below, KvCache<float> cache,
                         const std::vector<int>& query) {
  const Index first = context.layout.query_position;
  std::vector<Index> positions(query.size());
  std::iota(positions.begin(), positions.end(), first);
  const auto hidden = query_pass<float>(method, context, layers_below, cache, query, first);
  Counters not_reported;
  return widened(project_qkv(layers_below, layers_below.shape.num_layers, hidden,
                             rope_table<float>(positions, layers_below.shape), not_reported));
}

/// This rank's projections in the layer after those that the model has, which are run as in
/// prefill. Collective.
///
/// \param layers_below its config counts the layers below the chosen one; it holds more
ProjectedRank project_layer(Method method, const RankContext& context,
                            const ModelWeights<float>& layers_below,
                            const std::vector<int>& document, const std::vector<int>& query,
                            bool with_query_pass) {
  const RankLayout& layout = context.rank_layout();
  std::vector<int> tokens;
  std::vector<Index> positions;
  for (Index row = 0; row < layout.rows(); ++row) {
    tokens.push_back(layout.token(row, document, query));
    positions.push_back(layout.position(row));
  }
  const RopeTable<float> rope = rope_table<float>(positions, layers_below.shape);
  const bool retaining = scores_with_heads(context.config);
  const Index feature_rows = retaining ? layout.block_len : 0;
  Counters not_reported;
  KvCache<float> cache;
  Matrix<float> hidden = embed(layers_below, tokens);
  for (Index layer = 0; layer < layers_below.shape.num_layers; ++layer) {
    const Qkv<float> qkv =
        project_qkv(layers_below, layer, hidden, rope, not_reported, feature_rows);
    LayerInput<float> input{layer, qkv.query.view(), qkv.key.view(), qkv.value.view()};
    if (retaining) {
      input.retaining = {&layers_below.retaining_heads[static_cast<std::size_t>(layer)],
                         &qkv.features};
    }
    const auto output = prefill_attention<float>(method, context, input, not_reported);
    finish_layer(layers_below, layer, output.attention.out, hidden, not_reported);
    cache.layers.push_back({cached_rows(layout, qkv.key), cached_rows(layout, qkv.value)});
  }
  const Qkv<float> qkv = project_qkv(layers_below, layers_below.shape.num_layers, hidden, rope,
                                     not_reported, feature_rows);
  ProjectedRank projected{widened(qkv), qkv.features.cast<double>(), {}};
  if (with_query_pass) {
    projected.query = project_query(method, context, layers_below, std::move(cache), query);
  }
  return projected;
}

/// A layer's retaining head with the features of every rank.
std::vector<RetainingCase> retaining_cases(const RetainingHead<float>& head, ValueType type,
                                           const std::vector<ProjectedRank>& ranks) {
  std::vector<RetainingCase> cases;
  for (const ProjectedRank& rank : ranks) {
    cases.push_back({rank.features, head.fc1.cast<double>(), head.fc2.cast<double>()});
    round_all(type, cases.back());
  }
  return cases;
}

}  // namespace

CaseFile model_case(const CLI::App& app, const CaseOptions& options, ValueType type) {
  options.model.check();
  const ModelShape model = options.model.shape();
  if (options.layer < 0 || options.layer >= model.num_layers) {
    throw BadInput("case", "layer", options.layer,
                   fmt::format("between 0 and {}", model.num_layers - 1));
  }
  const Tokenizer tokenizer = options.model.tokenizer();
  const std::string text = read_text(options.text_path, model, tokenizer);
  tokenizer.require_text("--query", options.query);
  const auto encoded = tokenizer.encode({text, options.query});
  require_text_length(options.text_path, std::ssize(encoded[0].ids), model);
  const std::vector<int> document = (options.bos ? beginning(encoded[0]) : encoded[0]).ids;
  const std::vector<int>& query = encoded[1].ids;
  if (query.empty()) {
    throw BadInput("--query: has no token: the model's vocabulary lacks all its characters");
  }
  const ApbConfig config = make_config(
      app, options, model_defaults(options, model, std::ssize(document), std::ssize(query)));
  const Method method = parse_block_method(options.method);
  require_run_memory(method, config, model, sizeof(float), 1);
  const BlockLayout layout = make_block_layout(config);
  ModelWeights<float> weights = options.model.weights<float>();
  weights.shape.num_layers = options.layer;  // only those below are run
  std::vector<ProjectedRank> ranks(layout.ranks.size());
  run_local_ranks(config.num_ranks, std::max(1, available_cores() / config.num_ranks),
                  [&](Communicator& communicator) {
                    ranks[static_cast<std::size_t>(communicator.rank())] =
                        project_layer(method, {config, layout, communicator}, weights, document,
                                      query, options.decode);
                  });
  std::vector<RetainingCase> retaining;
  if (scores_with_heads(config)) {
    retaining = retaining_cases(weights.retaining_heads[static_cast<std::size_t>(options.layer)],
                                type, ranks);
  }
  std::vector<RowTensors> inputs;
  for (ProjectedRank& rank : ranks) {
    round_all(type, rank.rows);
    inputs.push_back(std::move(rank.rows));
  }
  CaseFile case_file =
      make_case(method, config, type, options.layer, std::move(inputs), std::move(retaining));
  if (options.decode) {
    round_all(type, ranks.front().query);
    add_decode(case_file, ranks.front().query);
  }
  return case_file;
}

}  // namespace apb
