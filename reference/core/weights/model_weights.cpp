#include "reference/core/weights/model_weights.hpp"

#include <array>
#include <cmath>
#include <utility>

#include "reference/core/error.hpp"
#include "reference/core/hdf5/hdf5_file.hpp"

namespace apb {
namespace {

// Far above any model, low enough that nothing made from them overflows or takes minutes.
constexpr Index kMaxStoredSize = Index{1} << 24;
constexpr Index kMaxLayers = 4096;

constexpr std::array kBiases{"query_bias", "key_bias", "value_bias"};

double positive(const Hdf5Reader& file, const char* key) {
  const double value = file.double_attribute(key);
  if (!(value > 0) || !std::isfinite(value)) {
    throw BadInput(file.path(), key, value, "positive and finite");
  }
  return value;
}

/// One divisor for every frequency, and the magnitude.
RopeScaling read_rope_divisors(const Hdf5Reader& file, Index head_dim) {
  RopeScaling scaling{.divisors = std::vector<double>(static_cast<std::size_t>(head_dim / 2)),
                      .magnitude = positive(file, "rope_magnitude")};
  file.read<double>("/rope_divisors", std::array{head_dim / 2}, scaling.divisors);
  for (std::size_t i = 0; i < scaling.divisors.size(); ++i) {
    if (!(scaling.divisors[i] > 0) || !std::isfinite(scaling.divisors[i])) {
      throw BadInput(file.path(), fmt::format("/rope_divisors[{}]", i), scaling.divisors[i],
                     "positive and finite");
    }
  }
  return scaling;
}

/// `rope_scaling` is absent or "none", "llama3" with four numbers, or "divisors" with a dataset.
RopeScaling read_rope_scaling(const Hdf5Reader& file, Index head_dim) {
  if (!file.has_attribute("rope_scaling")) return {};
  const std::string kind = file.string_attribute("rope_scaling");
  if (kind == "none") return {};
  if (kind == "divisors") return read_rope_divisors(file, head_dim);
  if (kind != "llama3") {
    throw BadInput(file.path(), "rope_scaling", kind, "none, llama3 or divisors");
  }
  RopeScaling scaling{positive(file, "rope_factor"), positive(file, "rope_low_freq_factor"),
                      positive(file, "rope_high_freq_factor"),
                      positive(file, "rope_original_context_len")};
  if (!(scaling.high_freq_factor > scaling.low_freq_factor)) {
    throw BadInput(file.path(), "rope_high_freq_factor", scaling.high_freq_factor,
                   fmt::format("more than rope_low_freq_factor ({})", scaling.low_freq_factor));
  }
  return scaling;
}

/// One id or a list of ids; -1: none.
std::vector<Index> read_eos_token_ids(const Hdf5Reader& file, Index vocab_size) {
  std::vector<Index> ids = file.int_list_attribute("eos_token_id");
  for (const Index id : ids) {
    if (id < -1 || id >= vocab_size) {
      throw BadInput(file.path(), "eos_token_id", id,
                     fmt::format("between -1 (none) and {}", vocab_size - 1));
    }
  }
  std::erase(ids, -1);
  return ids;
}

ModelShape read_model_shape(const Hdf5Reader& file) {
  if (const std::string found = file.string_attribute("schema"); found != "apb-weights") {
    throw BadInput(file.path(), "schema", found, "apb-weights");
  }
  if (const std::string found = file.string_attribute("architecture");
      found != "llama" && found != "qwen2") {
    throw BadInput(file.path(), "architecture", found, "llama or qwen2");
  }
  if (const auto version = file.int_attribute("version"); version != 1) {
    throw BadInput(file.path(), "version", version, "1");
  }
  const auto size = [&](const char* key, Index max = kMaxStoredSize) {
    const Index value = file.int_attribute(key);
    if (value < 1 || value > max) {
      throw BadInput(file.path(), key, value, fmt::format("between 1 and {}", max));
    }
    return value;
  };
  ModelShape shape;
  shape.name = file.string_attribute("name");
  shape.num_layers = size("num_layers", kMaxLayers);
  shape.hidden_size = size("hidden_size");
  shape.intermediate_size = size("intermediate_size");
  shape.num_q_heads = size("num_q_heads");
  shape.num_kv_heads = size("num_kv_heads");
  shape.head_dim = size("head_dim");
  shape.vocab_size = size("vocab_size");
  shape.context_len = size("context_len");
  shape.rope_theta = positive(file, "rope_theta");
  shape.rms_norm_eps = positive(file, "rms_norm_eps");
  shape.eos_token_ids = read_eos_token_ids(file, shape.vocab_size);
  if (shape.num_q_heads % shape.num_kv_heads != 0) {
    throw BadInput(file.path(), "num_q_heads", shape.num_q_heads,
                   fmt::format("a multiple of num_kv_heads ({})", shape.num_kv_heads));
  }
  if (shape.head_dim % 2 != 0) {
    throw BadInput(file.path(), "head_dim", shape.head_dim, "even (RoPE turns pairs)");
  }
  shape.rope_scaling = read_rope_scaling(file, shape.head_dim);
  return shape;
}

bool is_tied(const Hdf5Reader& file) {
  return file.int_attribute("tied_embeddings") != 0;
}

/// A bias that layer 0 has, every layer must have; one that it lacks, none may have.
bool has_bias(const Hdf5Reader& file, const std::string& name) {
  return file.has("/layers/0/" + name);
}

/// Every dataset that a weights file must hold, with its shape.
std::vector<std::pair<std::string, std::vector<Index>>> weight_shapes(const Hdf5Reader& file,
                                                                      const ModelShape& c) {
  const Index q_size = c.num_q_heads * c.head_dim;
  const Index kv_size = c.num_kv_heads * c.head_dim;
  std::vector<std::pair<std::string, std::vector<Index>>> shapes{
      {"/embedding", {c.vocab_size, c.hidden_size}}, {"/final_norm", {c.hidden_size}}};
  if (!is_tied(file)) shapes.push_back({"/head", {c.vocab_size, c.hidden_size}});
  for (Index layer = 0; layer < c.num_layers; ++layer) {
    const std::string at = fmt::format("/layers/{}/", layer);
    shapes.push_back({at + "attention_norm", {c.hidden_size}});
    shapes.push_back({at + "query", {q_size, c.hidden_size}});
    shapes.push_back({at + "key", {kv_size, c.hidden_size}});
    shapes.push_back({at + "value", {kv_size, c.hidden_size}});
    shapes.push_back({at + "output", {c.hidden_size, q_size}});
    shapes.push_back({at + "ffn_norm", {c.hidden_size}});
    shapes.push_back({at + "gate", {c.intermediate_size, c.hidden_size}});
    shapes.push_back({at + "up", {c.intermediate_size, c.hidden_size}});
    shapes.push_back({at + "down", {c.hidden_size, c.intermediate_size}});
    for (const std::string bias : kBiases) {
      if (has_bias(file, bias))
        shapes.push_back({at + bias, {bias == "query_bias" ? q_size : kv_size}});
    }
  }
  return shapes;
}

/// A matrix, or a vector as a matrix of one row, as the file has it (its shape has been checked).
template <class Scalar>
Matrix<Scalar> read_matrix(const Hdf5Reader& file, const std::string& name) {
  const std::vector<Index> shape = file.shape(name);
  Matrix<Scalar> matrix(shape.size() == 1 ? 1 : shape.front(), shape.back());
  file.read<Scalar>(name, shape, {matrix.data(), static_cast<std::size_t>(matrix.size())});
  return matrix;
}

}  // namespace

ModelShape read_model_shape(const std::string& path) {
  const Hdf5Reader file(path);
  ModelShape shape = read_model_shape(file);
  for (const auto& [name, dataset_shape] : weight_shapes(file, shape)) {
    file.require_stored(name, dataset_shape);
  }
  for (Index layer = 0; layer < shape.num_layers; ++layer) {
    for (const char* bias : kBiases) {
      const std::string name = fmt::format("/layers/{}/{}", layer, bias);
      if (file.has(name) && !has_bias(file, bias)) {
        throw BadInput(
            fmt::format("{}: dataset {}: layer 0 has no such bias, so no layer may", path, name));
      }
    }
  }
  return shape;
}

template <class Scalar>
ModelWeights<Scalar> read_model_weights(const std::string& path) {
  ModelWeights<Scalar> weights;
  weights.shape = read_model_shape(path);
  const Hdf5Reader file(path);
  weights.embedding = read_matrix<Scalar>(file, "/embedding");
  weights.final_norm = read_matrix<Scalar>(file, "/final_norm");
  if (!is_tied(file)) weights.head = read_matrix<Scalar>(file, "/head");
  for (Index layer = 0; layer < weights.shape.num_layers; ++layer) {
    const auto read = [&](const char* name) {
      return read_matrix<Scalar>(file, fmt::format("/layers/{}/{}", layer, name));
    };
    const auto read_bias = [&](const char* name) {
      return has_bias(file, name) ? read(name) : Matrix<Scalar>();
    };
    weights.layers.push_back({.attention_norm = read("attention_norm"),
                              .query = read("query"),
                              .key = read("key"),
                              .value = read("value"),
                              .query_bias = read_bias("query_bias"),
                              .key_bias = read_bias("key_bias"),
                              .value_bias = read_bias("value_bias"),
                              .output = read("output"),
                              .ffn_norm = read("ffn_norm"),
                              .gate = read("gate"),
                              .up = read("up"),
                              .down = read("down")});
  }
  return weights;
}

template ModelWeights<float> read_model_weights(const std::string&);
template ModelWeights<double> read_model_weights(const std::string&);

}  // namespace apb
