// configs/models: shapes of known models, checked by the number of weights that their makers state.

#include "reference/cli/known_models.hpp"

#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/core/error.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

TEST_CASE("known models have the published number of weights", "[models]") {
  CHECK(known_models() ==
        std::vector<std::string>{"llama-3.1-8b", "qwen2.5-14b", "smollm2-135m", "yi-34b-200k"});
  // As the model cards' safetensors counts state them.
  CHECK(find_model("llama-3.1-8b").num_parameters() == 8'030'261'248);
  CHECK(find_model("qwen2.5-14b").num_parameters() == 14'770'033'664);
  CHECK(find_model("yi-34b-200k").num_parameters() == 34'388'917'248);
  CHECK(find_model("smollm2-135m").num_parameters() == 134'515'008);
}

TEST_CASE("shapes of known models", "[models]") {
  const ModelShape llama = find_model("llama-3.1-8b").shape;
  CHECK(llama.name == "Llama-3.1-8B");
  CHECK(llama.num_q_heads == 32);
  CHECK(llama.num_kv_heads == 8);
  CHECK(llama.head_dim == 128);
  CHECK(llama.rope_scaling.factor == 8);
  CHECK(llama.rope_scaling.original_context_len == 8192);
  const ModelShapeFile qwen = find_model("qwen2.5-14b");
  CHECK(qwen.qkv_bias);
  CHECK(qwen.shape.rope_scaling.factor == 1);
  CHECK(find_model("yi-34b-200k").shape.context_len == 200000);
  const ModelShape smollm = find_model("smollm2-135m").shape;
  CHECK(smollm.num_q_heads == 9);
  CHECK(smollm.rope_theta == 1e5);
}

TEST_CASE("model files that cannot be right are refused by file and key", "[models]") {
  CHECK_THROWS_WITH(find_model("gpt-5"),
                    "command line: model = gpt-5: must be one of llama-3.1-8b, qwen2.5-14b, "
                    "smollm2-135m, yi-34b-200k, or a .json file");
  CHECK_THROWS_WITH(find_model("nowhere.json"), "nowhere.json: cannot be read");
  std::ifstream file(APB_SOURCE_DIR "/configs/models/llama-3.1-8b.json");
  const auto whole = nlohmann::json::parse(file);
  const TemporaryFolder folder;
  const std::string path = folder.file("model.json");
  const auto refusal = [&](const std::string& key, const nlohmann::json& value) -> std::string {
    nlohmann::json spoiled = whole;
    spoiled[nlohmann::json::json_pointer(key)] = value;
    std::ofstream(path) << spoiled;
    try {
      (void)find_model(path);
    } catch (const BadInput& error) {
      return error.what();
    }
    return "accepted";
  };
  CHECK(refusal("/name", "Llama-3.1-8B") == "accepted");
  CHECK(refusal("/schema", "other") == path + ": schema = \"other\": must be apb-model");
  CHECK(refusal("/version", 2) == path + ": version = 2: must be 1");
  CHECK(refusal("/name", 5) == path + ": name = 5: must be a string");
  CHECK(refusal("/values/head_dim/value", 127) == path + ": head_dim = 127: must be even");
  CHECK(refusal("/values/num_layers/value", 0) ==
        path + ": num_layers = 0: must be between 1 and 16777216");
  CHECK(refusal("/values/num_layers/value", "32") ==
        path + ": num_layers = \"32\": must be between 1 and 16777216");
  CHECK(refusal("/values/num_kv_heads/value", 5) ==
        path + ": num_q_heads = 32: must be a multiple of num_kv_heads (5)");
  CHECK(refusal("/values/rope_theta/value", -1) == path + ": rope_theta = -1: must be positive");
  CHECK(refusal("/values/rope_scaling/value", "yarn") ==
        path + ": rope_scaling = \"yarn\": must be none or llama3");
  CHECK(refusal("/values/qkv_bias/value", 1) == path + ": qkv_bias = 1: must be true or false");
  CHECK(refusal("/values/hidden_size", 4096) == path + ": values.hidden_size.value is missing");
  CHECK(refusal("/values/hidden_size/source", "hearsay") ==
        path + ": values.hidden_size.source is missing, or is not among sources");
  CHECK(refusal("/values", 5) == path + ": values.num_layers.value is missing");
  std::ofstream(path) << "{";
  CHECK_THROWS_WITH(find_model(path), path + ": must be a JSON object");
}

}  // namespace
}  // namespace apb
