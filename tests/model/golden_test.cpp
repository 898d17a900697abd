// The model against implementations that nobody here wrote: logits and nll of a 256-token prompt
// from transformers, token ids from llama.cpp (tests/golden/make_smollm2_golden.py). Needs the
// demo's weights file and Python environment; without them every case says SKIPPED.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <numeric>

#include "reference/model/decode.hpp"
#include "reference/model/transformer.hpp"
#include "reference/model_io/model_source.hpp"
#include "tests/model/prompt_hidden.hpp"
#include "tests/support/catch.hpp"

namespace apb {
namespace {

nlohmann::json golden() {
  std::ifstream file(APB_SOURCE_DIR "/tests/golden/smollm2_256.json");
  return nlohmann::json::parse(file);
}

/// The weights file, or an empty path after saying that the case is skipped.
std::string weights_path() {
  const std::string path = ModelSource::default_path();
  if (std::filesystem::exists(path)) return path;
  std::cout << "SKIPPED: no weights file " << path << " (./apb demo makes it)\n";
  return {};
}

/// Largest errors against the golden float64 values.
struct GoldenErrors {
  double logits = 0;
  double lse = 0;
  double nll = 0;
  bool argmax_equal = true;
};

template <class Scalar>
GoldenErrors compare_with_golden(const nlohmann::json& expected, const std::string& path) {
  const auto weights = read_model_weights<Scalar>(path);
  const std::vector<int> tokens = expected.at("token_ids");
  const Matrix<Scalar> hidden = prompt_hidden(weights, tokens);
  const Matrix<double> all_logits = logits(weights, hidden).template cast<double>();
  const Matrix<double> log_p = log_probabilities(weights, hidden);

  // The positive form `!(error <= max)` keeps a NaN.
  const auto raise = [](double& max, double error) {
    if (!(error <= max)) max = error;
  };
  GoldenErrors errors;
  const std::vector<Index> vocabulary = expected.at("vocabulary_ids");
  for (const auto& row : expected.at("rows")) {
    const Index index = row.at("row");
    const std::vector<double> golden_logits = row.at("logits");
    for (std::size_t i = 0; i < vocabulary.size(); ++i) {
      raise(errors.logits, std::abs(all_logits(index, vocabulary[i]) - golden_logits[i]));
    }
    const double lse = all_logits(index, 0) - log_p(index, 0);
    raise(errors.lse, std::abs(lse - row.at("lse").get<double>()));
    Index argmax = 0;
    all_logits.row(index).maxCoeff(&argmax);
    errors.argmax_equal = errors.argmax_equal && argmax == row.at("argmax").get<Index>();
  }
  const std::vector<double> nll = expected.at("nll");
  for (std::size_t i = 0; i < nll.size(); ++i) {
    raise(errors.nll, std::abs(-log_p(static_cast<Index>(i), tokens[i + 1]) - nll[i]));
  }
  return errors;
}

}  // namespace

TEST_CASE("logits in double agree with transformers in float64", "[golden]") {
  const std::string path = weights_path();
  if (path.empty()) return;
  const GoldenErrors errors = compare_with_golden<double>(golden(), path);
  CAPTURE(errors.logits, errors.lse, errors.nll);
  // The golden file keeps 12 digits of numbers up to 40.
  CHECK(errors.logits <= 1e-9);
  CHECK(errors.lse <= 1e-9);
  CHECK(errors.nll <= 1e-9);
  CHECK(errors.argmax_equal);
}

TEST_CASE("logits in float are as near to float64 as transformers in float32", "[golden]") {
  const std::string path = weights_path();
  if (path.empty()) return;
  const auto expected = golden();
  const GoldenErrors errors = compare_with_golden<float>(expected, path);
  CAPTURE(errors.logits, errors.lse, errors.nll);
  // Two different orders of summation: each within its own float32 rounding of the truth.
  CHECK(errors.logits <= expected.at("float32_max_abs_error").get<double>());
  CHECK(errors.nll <= 2 * expected.at("float32_nll_max_abs_error").get<double>());
  CHECK(errors.argmax_equal);
}

TEST_CASE("token ids agree with llama.cpp", "[golden]") {
  const std::string path = weights_path();
  if (path.empty()) return;
  if (std::getenv("APB_PYTHON") == nullptr) {
    std::cout << "SKIPPED: APB_PYTHON is not set (./apb test sets it)\n";
    return;
  }
  const auto expected = golden();
  std::vector<std::string> texts{expected.at("text")};
  std::vector<std::vector<int>> ids{expected.at("token_ids")};
  for (const auto& tokenizer_case : expected.at("tokenizer_cases")) {
    texts.push_back(tokenizer_case.at("text"));
    ids.push_back(tokenizer_case.at("ids"));
  }
  const Tokenizer tokenizer = Tokenizer::of_weights_file(path);
  const auto encoded = tokenizer.encode(texts);
  REQUIRE(encoded.size() == texts.size());
  REQUIRE(texts.size() > 20);
  for (std::size_t i = 0; i < texts.size(); ++i) {
    CAPTURE(texts[i]);
    CHECK(encoded[i].ids == ids[i]);
  }
  CHECK(tokenizer.decode(ids[0]) == texts[0]);
}

}  // namespace apb
