// Weights files: read back bit for bit; refused by name if anything is missing, misshapen or
// impossible.

#include <functional>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"
#include "reference/core/weights/model_weights.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/compare.hpp"
#include "tests/support/random_tensors.hpp"
#include "tests/support/refusal.hpp"
#include "tests/support/temporary_folder.hpp"

namespace apb {
namespace {

/// A tiny model; what a test spoils differs from what read_model_weights accepts.
struct WeightsFile {
  std::string schema = "apb-weights";
  std::string architecture = "llama";
  std::int64_t version = 1;
  std::int64_t head_dim = 4;
  std::int64_t num_kv_heads = 1;
  std::int64_t vocab_size = 5;
  std::int64_t tied_embeddings = 0;
  double rope_theta = 1e4;
  double rms_norm_eps = 1e-5;
  std::string left_out;      ///< a dataset or attribute
  std::string misshapen;     ///< a dataset with one row too many
  bool biased = false;       ///< layer 0 has biases of query, key and value
  std::string rope_scaling;  ///< empty: the attribute is absent
  double rope_factor = 8;
  double rope_high_freq_factor = 4;
  std::vector<double> rope_divisors{};
  double rope_magnitude = 1.25;

  void write(const std::string& path) const;
};

void WeightsFile::write(const std::string& path) const {
  RandomTensors random(161);
  Hdf5Writer writer(path);
  const auto text = [&](const std::string& name, const std::string& value) {
    if (name != left_out) writer.set_attribute("/", name, std::string_view(value));
  };
  const auto number = [&](const std::string& name, auto value) {
    if (name != left_out) writer.set_attribute("/", name, value);
  };
  const auto dataset = [&](const std::string& name, std::vector<Index> shape) {
    if (name == left_out) return;
    if (name == misshapen) ++shape.front();
    const Matrix<float> values =
        random.matrix<float>(shape.front(), shape.size() > 1 ? shape[1] : 1);
    writer.write<float>(name, shape, {values.data(), static_cast<std::size_t>(values.size())});
  };
  text("schema", schema);
  text("architecture", architecture);
  text("name", "tiny");
  number("version", version);
  for (const char* size : {"num_layers", "context_len"}) number(size, std::int64_t{1});
  number("hidden_size", std::int64_t{6});
  number("intermediate_size", std::int64_t{7});
  number("num_q_heads", std::int64_t{2});
  number("num_kv_heads", num_kv_heads);
  number("head_dim", head_dim);
  number("vocab_size", vocab_size);
  number("eos_token_id", std::int64_t{-1});
  number("tied_embeddings", tied_embeddings);
  number("rope_theta", rope_theta);
  number("rms_norm_eps", rms_norm_eps);
  if (!rope_scaling.empty()) {
    text("rope_scaling", rope_scaling);
    number("rope_factor", rope_factor);
    number("rope_low_freq_factor", 1.0);
    number("rope_high_freq_factor", rope_high_freq_factor);
    number("rope_original_context_len", 8192.0);
  }
  number("rope_magnitude", rope_magnitude);
  if (!rope_divisors.empty()) {
    writer.write<double>("/rope_divisors", std::array{std::ssize(rope_divisors)}, rope_divisors);
  }
  writer.create_group("/layers");
  writer.create_group("/layers/0");
  dataset("/embedding", {5, 6});
  dataset("/final_norm", {6});
  dataset("/head", {5, 6});
  dataset("/layers/0/attention_norm", {6});
  dataset("/layers/0/query", {8, 6});
  dataset("/layers/0/key", {4, 6});
  dataset("/layers/0/value", {4, 6});
  dataset("/layers/0/output", {6, 8});
  dataset("/layers/0/ffn_norm", {6});
  dataset("/layers/0/gate", {7, 6});
  dataset("/layers/0/up", {7, 6});
  dataset("/layers/0/down", {6, 7});
  if (biased) {
    dataset("/layers/0/query_bias", {8});
    dataset("/layers/0/key_bias", {4});
    dataset("/layers/0/value_bias", {4});
  }
  writer.commit();
}

TEST_CASE("weights are read bit for bit, in the order of the file", "[weights]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("weights.h5");
  WeightsFile{}.write(path);
  const auto weights = read_model_weights<float>(path);
  CHECK(weights.shape.name == "tiny");
  CHECK(weights.shape.head_dim == 4);
  CHECK(weights.shape.eos_token_ids.empty());
  RandomTensors random(161);
  CHECK(bit_equal(weights.embedding, random.matrix<float>(5, 6)));
  CHECK(bit_equal(weights.final_norm, random.matrix<float>(1, 6)));
  CHECK(bit_equal(weights.head, random.matrix<float>(5, 6)));
  REQUIRE(weights.layers.size() == 1);
  const auto& layer = weights.layers.front();
  CHECK(bit_equal(layer.attention_norm, random.matrix<float>(1, 6)));
  CHECK(bit_equal(layer.query, random.matrix<float>(8, 6)));
  CHECK(bit_equal(layer.key, random.matrix<float>(4, 6)));
  CHECK(bit_equal(layer.value, random.matrix<float>(4, 6)));
  CHECK(bit_equal(layer.output, random.matrix<float>(6, 8)));
  CHECK(bit_equal(layer.ffn_norm, random.matrix<float>(1, 6)));
  CHECK(bit_equal(layer.gate, random.matrix<float>(7, 6)));
  CHECK(bit_equal(layer.up, random.matrix<float>(7, 6)));
  CHECK(bit_equal(layer.down, random.matrix<float>(6, 7)));
  CHECK(compare(weights.layers[0].down, read_model_weights<double>(path).layers[0].down) <= 0);
}

TEST_CASE("biases and RoPE scaling are read where there are any", "[weights]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("weights.h5");
  WeightsFile{}.write(path);
  CHECK(read_model_weights<float>(path).layers.front().query_bias.size() == 0);
  CHECK(read_model_shape(path).rope_scaling.factor == 1);

  WeightsFile file;
  file.architecture = "qwen2";
  file.biased = true;
  file.rope_scaling = "llama3";
  file.write(path);
  const auto weights = read_model_weights<double>(path);
  const auto& layer = weights.layers.front();
  CHECK(layer.query_bias.cols() == 8);
  CHECK(layer.key_bias.cols() == 4);
  CHECK(layer.value_bias.cols() == 4);
  CHECK_FALSE(layer.key_bias == layer.value_bias);
  const RopeScaling& scaling = weights.shape.rope_scaling;
  CHECK(scaling.factor == 8);
  CHECK(scaling.low_freq_factor == 1);
  CHECK(scaling.high_freq_factor == 4);
  CHECK(scaling.original_context_len == 8192);
  CHECK(scaling.divisors.empty());
  CHECK(scaling.magnitude == 1);
  file.rope_scaling = "none";
  file.write(path);
  CHECK(read_model_shape(path).rope_scaling.factor == 1);
  file.rope_scaling = "divisors";
  file.rope_divisors = {1, 4};
  file.write(path);
  CHECK(read_model_shape(path).rope_scaling.divisors == std::vector<double>{1, 4});
  CHECK(read_model_shape(path).rope_scaling.magnitude == 1.25);
}

TEST_CASE("tied embeddings are the logits matrix", "[weights]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("weights.h5");
  WeightsFile file;
  file.tied_embeddings = 1;
  file.left_out = "/head";
  file.write(path);
  const auto weights = read_model_weights<float>(path);
  CHECK(bit_equal(weights.logits_matrix(), weights.embedding));
}

TEST_CASE("weights files that cannot be right are refused by name", "[weights]") {
  const TemporaryFolder folder;
  const std::string path = folder.file("weights.h5");
  struct Refusal {
    std::string named;
    std::function<void(WeightsFile&)> spoil;
  };
  std::vector<Refusal> refusals{
      {"schema = other: must be apb-weights", [](auto& f) { f.schema = "other"; }},
      {"architecture = gpt: must be llama or qwen2", [](auto& f) { f.architecture = "gpt"; }},
      {"version = 2: must be 1", [](auto& f) { f.version = 2; }},
      {"head_dim = 3: must be even", [](auto& f) { f.head_dim = 3; }},
      {"head_dim = 0: must be between 1", [](auto& f) { f.head_dim = 0; }},
      {"vocab_size = -5: must be between 1", [](auto& f) { f.vocab_size = -5; }},
      {"num_q_heads = 2: must be a multiple of num_kv_heads (3)",
       [](auto& f) { f.num_kv_heads = 3; }},
      {"rope_theta = 0: must be positive", [](auto& f) { f.rope_theta = 0; }},
      {"rms_norm_eps = -1: must be positive", [](auto& f) { f.rms_norm_eps = -1; }},
      {"rope_scaling = yarn: must be none, llama3 or divisors",
       [](auto& f) { f.rope_scaling = "yarn"; }},
      {"rope_factor = -8: must be positive",
       [](auto& f) { f.rope_scaling = "llama3", f.rope_factor = -8; }},
      {"rope_high_freq_factor = 1: must be more than rope_low_freq_factor (1)",
       [](auto& f) { f.rope_scaling = "llama3", f.rope_high_freq_factor = 1; }},
      {"attribute rope_original_context_len is missing",
       [](auto& f) { f.rope_scaling = "llama3", f.left_out = "rope_original_context_len"; }},
      {"dataset /rope_divisors is missing", [](auto& f) { f.rope_scaling = "divisors"; }},
      {"/rope_divisors = shape [3]: must be shape [2]",
       [](auto& f) {
         f.rope_scaling = "divisors", f.rope_divisors = {1, 1, 1};
       }},
      {"/rope_divisors[1] = 0: must be positive",
       [](auto& f) {
         f.rope_scaling = "divisors", f.rope_divisors = {1, 0};
       }},
      {"rope_magnitude = -1: must be positive",
       [](auto& f) {
         f.rope_scaling = "divisors", f.rope_divisors = {1, 1}, f.rope_magnitude = -1;
       }},
      {"/layers/0/key_bias = shape [",
       [](auto& f) { f.biased = true, f.misshapen = "/layers/0/key_bias"; }},
  };
  for (const std::string name : {"schema", "name", "num_layers", "rope_theta", "tied_embeddings"}) {
    refusals.push_back({"attribute " + name + " is missing", [=](auto& f) { f.left_out = name; }});
  }
  for (const std::string name : {"/embedding", "/final_norm", "/head", "/layers/0/attention_norm",
                                 "/layers/0/key", "/layers/0/output", "/layers/0/down"}) {
    refusals.push_back({"dataset " + name + " is missing", [=](auto& f) { f.left_out = name; }});
    refusals.push_back({name + " = shape [", [=](auto& f) { f.misshapen = name; }});
  }
  for (const Refusal& expected : refusals) {
    WeightsFile file;
    expected.spoil(file);
    file.write(path);
    CAPTURE(expected.named);
    const std::string line = refusal([&] { (void)read_model_weights<float>(path); });
    CAPTURE(line);
    CHECK(line.starts_with(path + ": "));
    CHECK(line.find(expected.named) != std::string::npos);
  }
}

}  // namespace
}  // namespace apb
