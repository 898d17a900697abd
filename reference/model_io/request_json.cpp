#include "reference/model_io/request_json.hpp"

namespace apb {

void to_json(nlohmann::json& json, const ApbConfig& config) {
  json = {{"doc_len", config.doc_len},
          {"num_ranks", config.num_ranks},
          {"block_lens", config.resolved_block_lens()},
          {"query_len", config.query_len},
          {"embedded_query_len", config.embedded_query_len},
          {"anchor_len", config.anchor_len},
          {"anchor_convention", to_string(config.anchor_convention)},
          {"query_insert_at", config.query_insert_at},
          {"compressor", to_string(config.compressor)},
          {"num_kept", config.num_kept},
          {"pool_kernel", config.pool_kernel},
          {"seed", config.seed},
          {"ape_temperature", config.ape_temperature},
          {"ape_scale", config.ape_scale},
          {"num_q_heads", config.num_q_heads},
          {"num_kv_heads", config.num_kv_heads},
          {"head_dim", config.head_dim},
          {"softmax_scale", config.softmax_scale}};
}

void from_json(const nlohmann::json& json, ApbConfig& config) {
  json.at("doc_len").get_to(config.doc_len);
  json.at("num_ranks").get_to(config.num_ranks);
  json.at("block_lens").get_to(config.block_lens);
  json.at("query_len").get_to(config.query_len);
  json.at("embedded_query_len").get_to(config.embedded_query_len);
  json.at("anchor_len").get_to(config.anchor_len);
  config.anchor_convention =
      parse_anchor_convention(json.at("anchor_convention").get<std::string>());
  json.at("query_insert_at").get_to(config.query_insert_at);
  config.compressor = parse_compressor(json.at("compressor").get<std::string>());
  json.at("num_kept").get_to(config.num_kept);
  json.at("pool_kernel").get_to(config.pool_kernel);
  json.at("seed").get_to(config.seed);
  json.at("ape_temperature").get_to(config.ape_temperature);
  json.at("ape_scale").get_to(config.ape_scale);
  json.at("num_q_heads").get_to(config.num_q_heads);
  json.at("num_kv_heads").get_to(config.num_kv_heads);
  json.at("head_dim").get_to(config.head_dim);
  json.at("softmax_scale").get_to(config.softmax_scale);
}

void to_json(nlohmann::json& json, const EvaluationRequest& request) {
  json = {{"method", to_string(request.method)},
          {"config", request.config},
          {"document", request.document},
          {"query", request.query},
          {"expected_answer", request.expected_answer},
          {"nll_positions", request.nll_positions},
          {"max_answer_tokens", request.max_answer_tokens}};
}

void from_json(const nlohmann::json& json, EvaluationRequest& request) {
  request.method = parse_method(json.at("method").get<std::string>());
  json.at("config").get_to(request.config);
  json.at("document").get_to(request.document);
  json.at("query").get_to(request.query);
  json.at("expected_answer").get_to(request.expected_answer);
  json.at("nll_positions").get_to(request.nll_positions);
  json.at("max_answer_tokens").get_to(request.max_answer_tokens);
}

void to_json(nlohmann::json& json, const Counters& counters) {
  for (const auto& [name, count] : kCounterFields) json[std::string(name)] = counters.*count;
}

}  // namespace apb
