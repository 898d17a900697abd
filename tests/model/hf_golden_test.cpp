// Hugging Face folders, imported by import.py, against what transformers computes with them in
// float64 (tests/golden/make_hf_golden.py): both families, 28/4 and 1/1 heads, biases, RoPE scaling
// as Llama 3's, linear and YaRN, tied and untied heads, weights in bfloat16, float16 and float32,
// one file and several; byte-level BPE and SentencePiece, a BOS, end tokens. Needs the Python
// environment; without it every case says SKIPPED.

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "reference/cli/subprocess.hpp"
#include "reference/model/transformer.hpp"
#include "reference/model_io/tokenizer.hpp"
#include "tests/model/prompt_hidden.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

/// The folder as a weights file at `path`; false after saying that the case is skipped.
bool import_folder(const std::string& folder, const std::string& path) {
  const char* python = std::getenv("APB_PYTHON");
  if (python == nullptr) {
    std::cout << "SKIPPED: APB_PYTHON is not set (./apb test sets it)\n";
    return false;
  }
  const std::vector<std::string> command{
      python, "-B", APB_SOURCE_DIR "/reference/tools/import/import.py", "hf", folder, path};
  REQUIRE(run_subprocess(command, "").exit_code == 0);
  return true;
}

/// Largest difference from the golden logits; NaN if there is one.
double largest_error(const nlohmann::json& golden, const ModelWeights<double>& weights) {
  const Matrix<double> found = logits(weights, prompt_hidden(weights, golden.at("token_ids")));
  double largest = 0;
  for (const auto& row : golden.at("rows")) {
    const Index index = row.at("row");
    const std::vector<double> expected = row.at("logits");
    REQUIRE(std::ssize(expected) == found.cols());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double error = std::abs(found(index, static_cast<Index>(i)) - expected[i]);
      if (!(error <= largest)) largest = error;
    }
  }
  return largest;
}

TEST_CASE("imported folders give the logits of transformers", "[golden]") {
  const std::string name = GENERATE("llama_28_4", "llama_1_1", "qwen2_28_4", "qwen2_1_1",
                                    "qwen2_yarn", "sentencepiece_linear");
  CAPTURE(name);
  const std::string folder = std::string(APB_SOURCE_DIR "/tests/golden/hf_") + name;
  const TemporaryFolder place;
  const std::string path = place.file("weights.h5");
  if (!import_folder(folder, path)) return;
  std::ifstream file(folder + "/golden.json");
  const auto golden = nlohmann::json::parse(file);
  REQUIRE(golden.at("rows").size() >= 4);

  auto weights = read_model_weights<double>(path);
  const double error = largest_error(golden, weights);
  CAPTURE(error);
  // Logits up to 5, two layers of sums of up to 224 terms, in double on both sides.
  CHECK(error <= 1e-12);

  // Each part of the family is needed for that.
  const bool qwen2 = name.starts_with("qwen2");
  CHECK((weights.layers[1].value_bias.size() > 0) == qwen2);
  const bool llama3 = name == "llama_28_4" || name == "qwen2_1_1";
  const bool divided = name == "qwen2_yarn" || name == "sentencepiece_linear";
  CHECK((weights.shape.rope_scaling.factor == 8) == llama3);
  CHECK(weights.shape.rope_scaling.divisors.empty() != divided);
  CHECK((weights.shape.rope_scaling.magnitude != 1) == (name == "qwen2_yarn"));
  if (llama3 || divided) {
    auto unscaled = weights;
    unscaled.shape.rope_scaling = {};
    CHECK(largest_error(golden, unscaled) > 1e-6);
  }
  if (qwen2) {
    weights.layers[1].key_bias.setZero();
    CHECK(largest_error(golden, weights) > 1e-6);
  }
}

TEST_CASE("imported tokenizers give the ids of the tokenizers library", "[golden]") {
  const std::string name = GENERATE("llama_28_4", "qwen2_28_4", "sentencepiece_linear");
  const std::string folder = std::string(APB_SOURCE_DIR "/tests/golden/hf_") + name;
  const TemporaryFolder place;
  const std::string path = place.file("weights.h5");
  if (!import_folder(folder, path)) return;
  std::ifstream file(folder + "/golden.json");
  const auto golden = nlohmann::json::parse(file);
  const Tokenizer tokenizer = Tokenizer::of_weights_file(path);
  const std::string text = golden.at("text");
  const std::string decomposed = "cafe\u0301 the";  // Qwen2 makes one letter of e and its accent
  const auto encoded = tokenizer.encode({text, decomposed});
  CHECK(encoded[0].ids == golden.at("token_ids").get<std::vector<int>>());
  CHECK(encoded[0].before == golden.at("before_text").get<std::vector<int>>());
  CHECK(encoded[0].offsets.back().second == std::ssize(text));
  const EncodedText whole = beginning(encoded[0]);
  CHECK(whole.ids.size() == encoded[0].ids.size() + encoded[0].before.size());
  CHECK(whole.tokens_of_bytes(0, std::ssize(text)) ==
        std::pair<Index, Index>{std::ssize(encoded[0].before), std::ssize(whole.ids)});
  if (name.starts_with("sentencepiece")) {
    CHECK(whole.ids.front() == 1);                        // <s>
    CHECK(tokenizer.decode(whole.ids) == "<s> " + text);  // and a space before the text
    CHECK(encoded[1].offsets.back() == std::pair<Index, Index>{6, 10});  // "▁the"
    return;
  }
  CHECK(tokenizer.decode(encoded[0].ids) == text);
  const bool composes = name.starts_with("qwen2");
  CHECK(tokenizer.decode(encoded[1].ids) == (composes ? "caf\u00e9 the" : decomposed));
  CHECK(encoded[1].offsets.back() == std::pair<Index, Index>{6, 10});
}

TEST_CASE("imported end tokens are those that transformers' generate follows", "[golden]") {
  const std::string name = GENERATE("llama_28_4", "qwen2_yarn", "sentencepiece_linear");
  const std::string folder = std::string(APB_SOURCE_DIR "/tests/golden/hf_") + name;
  const TemporaryFolder place;
  const std::string path = place.file("weights.h5");
  if (!import_folder(folder, path)) return;
  std::ifstream file(folder + "/golden.json");
  const nlohmann::json ends = nlohmann::json::parse(file).at("eos_token_id");
  const auto expected =
      ends.is_array() ? ends.get<std::vector<Index>>() : std::vector<Index>{ends.get<Index>()};
  CHECK(read_model_shape(path).eos_token_ids == expected);
}

}  // namespace
}  // namespace apb
