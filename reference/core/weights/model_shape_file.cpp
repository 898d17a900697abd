#include "reference/core/weights/model_shape_file.hpp"

#include <fmt/format.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "reference/core/error.hpp"

namespace apb {
namespace {

constexpr Index kMaxSize = Index{1} << 24;

/// One model file's values; every look-up checks type, range and source.
class Values {
 public:
  explicit Values(std::string path) : path_(std::move(path)) {
    std::ifstream file(path_);
    if (!file.is_open()) throw BadInput(path_ + ": cannot be read");
    json_ = nlohmann::json::parse(file, nullptr, false);
    if (!json_.is_object()) throw BadInput(path_ + ": must be a JSON object");
    if (json_.value("schema", nlohmann::json()) != "apb-model") {
      throw BadInput(path_, "schema", json_.value("schema", nlohmann::json()).dump(), "apb-model");
    }
    if (json_.value("version", nlohmann::json()) != 1) {
      throw BadInput(path_, "version", json_.value("version", nlohmann::json()).dump(), "1");
    }
  }

  [[nodiscard]] Index size(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_number_integer() || value < 1 || value > kMaxSize) {
      throw BadInput(path_, key, value.dump(), fmt::format("between 1 and {}", kMaxSize));
    }
    return value.get<Index>();
  }

  [[nodiscard]] double positive(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_number() || !(value.get<double>() > 0)) {
      throw BadInput(path_, key, value.dump(), "positive");
    }
    return value.get<double>();
  }

  [[nodiscard]] bool flag(const char* key) const {
    const nlohmann::json& value = value_of(key);
    if (!value.is_boolean()) throw BadInput(path_, key, value.dump(), "true or false");
    return value.get<bool>();
  }

  [[nodiscard]] RopeScaling rope_scaling() const {
    const nlohmann::json& kind = value_of("rope_scaling");
    if (kind == "none") return {};
    if (kind != "llama3") throw BadInput(path_, "rope_scaling", kind.dump(), "none or llama3");
    return {positive("rope_factor"), positive("rope_low_freq_factor"),
            positive("rope_high_freq_factor"), positive("rope_original_context_len")};
  }

  [[nodiscard]] std::string name() const {
    const auto name = json_.value("name", nlohmann::json());
    if (!name.is_string()) throw BadInput(path_, "name", name.dump(), "a string");
    return name.get<std::string>();
  }

  /// \throws BadInput unless heads fit together
  void check(const ModelShape& shape) const {
    if (shape.num_q_heads % shape.num_kv_heads != 0) {
      throw BadInput(path_, "num_q_heads", shape.num_q_heads,
                     fmt::format("a multiple of num_kv_heads ({})", shape.num_kv_heads));
    }
    if (shape.head_dim % 2 != 0) throw BadInput(path_, "head_dim", shape.head_dim, "even");
  }

 private:
  [[nodiscard]] const nlohmann::json& value_of(const std::string& key) const {
    const auto value = nlohmann::json::json_pointer("/values/" + key + "/value");
    const auto source = nlohmann::json::json_pointer("/values/" + key + "/source");
    if (!json_.contains(value)) throw BadInput(path_ + ": values." + key + ".value is missing");
    if (!json_.contains(source) || !json_.at(source).is_string() ||
        !json_.value("sources", nlohmann::json::object())
             .contains(json_.at(source).get<std::string>())) {
      throw BadInput(path_ + ": values." + key + ".source is missing, or is not among sources");
    }
    return json_.at(value);
  }

  std::string path_;
  nlohmann::json json_;
};

}  // namespace

Index ModelShapeFile::num_parameters() const {
  const ModelShape& c = shape;
  const Index q_size = c.num_q_heads * c.head_dim;
  const Index kv_size = c.num_kv_heads * c.head_dim;
  const Index layer = 2 * c.hidden_size * (q_size + kv_size) +
                      3 * c.hidden_size * c.intermediate_size + 2 * c.hidden_size +
                      (qkv_bias ? q_size + 2 * kv_size : 0);
  const Index embeddings = (tied_embeddings ? 1 : 2) * c.vocab_size * c.hidden_size;
  return c.num_layers * layer + embeddings + c.hidden_size;
}

ModelShapeFile read_model_shape_file(const std::string& path) {
  const Values values(path);
  ModelShapeFile file;
  file.shape = {.name = values.name(),
                .num_layers = values.size("num_layers"),
                .hidden_size = values.size("hidden_size"),
                .intermediate_size = values.size("intermediate_size"),
                .num_q_heads = values.size("num_q_heads"),
                .num_kv_heads = values.size("num_kv_heads"),
                .head_dim = values.size("head_dim"),
                .vocab_size = values.size("vocab_size"),
                .context_len = values.size("context_len"),
                .rope_theta = values.positive("rope_theta"),
                .rope_scaling = values.rope_scaling(),
                .rms_norm_eps = values.positive("rms_norm_eps")};
  file.tied_embeddings = values.flag("tied_embeddings");
  file.qkv_bias = values.flag("qkv_bias");
  values.check(file.shape);
  return file;
}

}  // namespace apb
