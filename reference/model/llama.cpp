#include "reference/model/llama.hpp"

#include <array>
#include <cmath>
#include <random>

#include "reference/core/error.hpp"
#include "reference/core/hdf5_file.hpp"

namespace apb {
namespace {

constexpr Index kMaxSize = Index{1} << 24;

LlamaConfig read_config(const Hdf5Reader& file) {
  const auto require_equal = [&](const char* key, const std::string& allowed) {
    const std::string found = file.string_attribute(key);
    if (found != allowed) throw BadInput(file.path(), key, found, allowed);
  };
  require_equal("schema", "apb-weights");
  require_equal("architecture", "llama");
  if (const auto version = file.int_attribute("version"); version != 1) {
    throw BadInput(file.path(), "version", version, "1");
  }
  const auto size = [&](const char* key) {
    const Index value = file.int_attribute(key);
    if (value < 1 || value > kMaxSize) {
      throw BadInput(file.path(), key, value, fmt::format("between 1 and {}", kMaxSize));
    }
    return value;
  };
  const auto positive = [&](const char* key) {
    const double value = file.double_attribute(key);
    if (!(value > 0) || !std::isfinite(value)) {
      throw BadInput(file.path(), key, value, "positive and finite");
    }
    return value;
  };
  LlamaConfig config;
  config.name = file.string_attribute("name");
  config.num_layers = size("num_layers");
  config.hidden_size = size("hidden_size");
  config.intermediate_size = size("intermediate_size");
  config.num_q_heads = size("num_q_heads");
  config.num_kv_heads = size("num_kv_heads");
  config.head_dim = size("head_dim");
  config.vocab_size = size("vocab_size");
  config.context_len = size("context_len");
  config.rope_theta = positive("rope_theta");
  config.rms_norm_eps = positive("rms_norm_eps");
  config.eos_token_id = file.int_attribute("eos_token_id");
  if (config.num_q_heads % config.num_kv_heads != 0) {
    throw BadInput(file.path(), "num_q_heads", config.num_q_heads,
                   fmt::format("a multiple of num_kv_heads ({})", config.num_kv_heads));
  }
  if (config.head_dim % 2 != 0) {
    throw BadInput(file.path(), "head_dim", config.head_dim, "even (RoPE turns pairs)");
  }
  return config;
}

template <class Scalar>
Matrix<Scalar> read_matrix(const Hdf5Reader& file, const std::string& name, Index rows,
                           Index columns) {
  const std::array<Index, 2> shape{rows, columns};
  Matrix<Scalar> matrix(rows, columns);
  file.read<Scalar>(name, shape, {matrix.data(), static_cast<std::size_t>(matrix.size())});
  return matrix;
}

template <class Scalar>
Matrix<Scalar> read_vector(const Hdf5Reader& file, const std::string& name, Index size) {
  const std::array<Index, 1> shape{size};
  Matrix<Scalar> vector(1, size);
  file.read<Scalar>(name, shape, {vector.data(), static_cast<std::size_t>(size)});
  return vector;
}

}  // namespace

LlamaConfig read_config(const std::string& path) {
  return read_config(Hdf5Reader(path));
}

LlamaConfig toy_config() {
  return {.name = "toy (seeded random weights, byte tokens)",
          .num_layers = 4,
          .hidden_size = 96,
          .intermediate_size = 256,
          .num_q_heads = 6,
          .num_kv_heads = 2,
          .head_dim = 16,
          .vocab_size = 256,
          .context_len = 8192,
          .rope_theta = 1e4,
          .rms_norm_eps = 1e-5};
}

template <class Scalar>
LlamaWeights<Scalar> read_weights(const std::string& path) {
  const Hdf5Reader file(path);
  LlamaWeights<Scalar> weights;
  const LlamaConfig& c = weights.config = read_config(file);
  const Index q_size = c.num_q_heads * c.head_dim;
  const Index kv_size = c.num_kv_heads * c.head_dim;

  if (file.has("/layers/0/query_bias")) {
    throw BadInput(path + ": dataset /layers/0/query_bias: biases are not supported");
  }
  weights.embedding = read_matrix<Scalar>(file, "/embedding", c.vocab_size, c.hidden_size);
  weights.final_norm = read_vector<Scalar>(file, "/final_norm", c.hidden_size);
  if (file.int_attribute("tied_embeddings") == 0) {
    weights.head = read_matrix<Scalar>(file, "/head", c.vocab_size, c.hidden_size);
  }
  for (Index layer = 0; layer < c.num_layers; ++layer) {
    const std::string at = fmt::format("/layers/{}/", layer);
    weights.layers.push_back({
        .attention_norm = read_vector<Scalar>(file, at + "attention_norm", c.hidden_size),
        .query = read_matrix<Scalar>(file, at + "query", q_size, c.hidden_size),
        .key = read_matrix<Scalar>(file, at + "key", kv_size, c.hidden_size),
        .value = read_matrix<Scalar>(file, at + "value", kv_size, c.hidden_size),
        .output = read_matrix<Scalar>(file, at + "output", c.hidden_size, q_size),
        .ffn_norm = read_vector<Scalar>(file, at + "ffn_norm", c.hidden_size),
        .gate = read_matrix<Scalar>(file, at + "gate", c.intermediate_size, c.hidden_size),
        .up = read_matrix<Scalar>(file, at + "up", c.intermediate_size, c.hidden_size),
        .down = read_matrix<Scalar>(file, at + "down", c.hidden_size, c.intermediate_size),
    });
  }
  return weights;
}

template <class Scalar>
LlamaWeights<Scalar> toy_weights(std::uint64_t seed) {
  LlamaWeights<Scalar> weights;
  weights.config = toy_config();
  const LlamaConfig& c = weights.config;
  const Index q_size = c.num_q_heads * c.head_dim;
  const Index kv_size = c.num_kv_heads * c.head_dim;

  // Sums of raw generator outputs, because std::normal_distribution differs between libraries.
  std::mt19937_64 generator(seed);
  const auto uniform = [&] { return static_cast<double>(generator() >> 11U) * 0x1.0p-53 - 0.5; };
  const auto random = [&](Index outputs, Index inputs) {
    const double scale = std::sqrt(12.0 / static_cast<double>(inputs));  // variance 1 / inputs
    return Matrix<Scalar>::NullaryExpr(outputs, inputs,
                                       [&] { return static_cast<Scalar>(scale * uniform()); })
        .eval();
  };
  const Matrix<Scalar> ones = Matrix<Scalar>::Ones(1, c.hidden_size);

  weights.embedding = random(c.vocab_size, c.hidden_size);
  weights.final_norm = ones;
  for (Index layer = 0; layer < c.num_layers; ++layer) {
    LlamaLayerWeights<Scalar> w;
    w.attention_norm = ones;
    w.query = random(q_size, c.hidden_size);
    w.key = random(kv_size, c.hidden_size);
    w.value = random(kv_size, c.hidden_size);
    w.output = random(c.hidden_size, q_size);
    w.ffn_norm = ones;
    w.gate = random(c.intermediate_size, c.hidden_size);
    w.up = random(c.intermediate_size, c.hidden_size);
    w.down = random(c.hidden_size, c.intermediate_size);
    weights.layers.push_back(std::move(w));
  }
  return weights;
}

template LlamaWeights<float> read_weights(const std::string&);
template LlamaWeights<double> read_weights(const std::string&);
template LlamaWeights<float> toy_weights(std::uint64_t);
template LlamaWeights<double> toy_weights(std::uint64_t);

}  // namespace apb
